#include "eventlog/disk_index.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "eventlog/index.hpp"
#include "eventlog/index_reading.hpp"
#include "eventlog/index_store.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

class disk_index final : public log_index {
public:
    disk_index(disk_index_settings settings, base::file_system& files, base::metrics* metrics)
        : settings_(std::move(settings)), files_(files), active_(make_part()),
          meters_(metrics == nullptr ? nullptr : std::make_unique<meters>(*metrics)) {}
    ~disk_index() override { disk_index::close(); }

    base::status open(const base::log_identity& log) override;
    std::vector<log_place> kept() const override { return store_->places(); }
    base::status discard() override;
    void add(base::position frame, std::span<const index_entry> entries) override;
    void take_back(base::position frame, std::span<const index_entry> entries) override;
    base::status rest_at(const log_place& here) override;
    void made_durable(base::position durable) override;
    void close() override;

    base::result<std::optional<base::revision>> last_revision(std::string_view stream,
                                                              base::position end) override {
        return now().last_revision(stream, end);
    }
    base::result<std::vector<base::position>> stream_positions(std::string_view stream,
                                                               base::revision from, direction way,
                                                               std::size_t count_max,
                                                               base::position end) override {
        return now().stream_positions(stream, from, way, count_max, end);
    }
    base::result<std::uint64_t> view_size(index_view view, std::string_view name,
                                          base::position end) override {
        return now().size(make_list_name(kind_of(view), name), end);
    }
    base::result<std::vector<base::position>> view_positions(index_view view, std::string_view name,
                                                             std::uint64_t from, direction way,
                                                             std::size_t count_max,
                                                             base::position end) override {
        return now().view_positions(make_list_name(kind_of(view), name), from, way, count_max, end);
    }
    base::result<base::position> frame_before(base::position at, base::position end) override;

private:
    struct meters {
        explicit meters(base::metrics& to)
            : checkpoints(to.make_counter("immortal_eventlog_index_checkpoints_total",
                                          "Parts of the index put on disk")),
              checkpoint_seconds(to.make_histogram("immortal_eventlog_index_checkpoint_seconds",
                                                   "Time to put a part of the index on disk",
                                                   base::metrics::latency_bounds())),
              tail_bytes(to.make_gauge("immortal_eventlog_index_tail_bytes",
                                       "The index's newest part, in memory")) {}
        base::counter checkpoints;
        base::histogram checkpoint_seconds;
        base::gauge tail_bytes;
    };

    [[nodiscard]] std::shared_ptr<index_part> make_part() const {
        return std::make_shared<index_part>(settings_.correlations);
    }
    [[nodiscard]] index_instant now() const;
    void close_part(); // with mutex_
    [[nodiscard]] bool part_is_large() const {
        return active_->events() >= settings_.part_events_max ||
               active_->bytes() >= settings_.part_bytes_max ||
               (active_->events() > 0 &&
                rest_->end.value - active_begin_.value >= settings_.part_log_bytes_max);
    }
    void run();

    const disk_index_settings settings_;
    base::file_system& files_;
    std::unique_ptr<index_store> store_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<index_part> active_; // the writer changes it
    std::shared_ptr<index_part> closed_; // on its way to the disk
    log_place closed_end_;
    base::position active_begin_; // the writer's
    base::position store_end_;    // where the parts begin
    base::position durable_;
    bool stopping_ = false;
    bool failed_ = false;           // nothing goes to the disk any more
    std::optional<log_place> rest_; // the writer's: the end of active_, if known
    std::unique_ptr<meters> meters_;
    std::thread thread_;
};

base::status disk_index::open(const base::log_identity& log) {
    IMMORTAL_ASSERT(!store_);
    auto opened =
        index_store::open({settings_.folder, settings_.correlations, settings_.cache_bytes,
                           settings_.open_files_max, settings_.place_spacing},
                          files_, log);
    if (!opened) {
        return fail(std::move(opened.error()));
    }
    store_ = std::move(*opened);
    store_end_ = store_->places().empty() ? base::position{} : store_->places().back().end;
    active_begin_ = store_end_;
    thread_ = std::thread([this] { run(); });
    return {};
}

base::status disk_index::discard() {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(!closed_ && active_->events() == 0);
    store_end_ = {};
    active_begin_ = {};
    return store_->clear();
}

void disk_index::add(base::position frame, std::span<const index_entry> entries) {
    rest_.reset();
    active_->add(frame, entries);
}

void disk_index::take_back(base::position frame, std::span<const index_entry> entries) {
    rest_.reset();
    const std::lock_guard lock(mutex_);
    if (closed_ && frame < closed_end_.end) {
        closed_->take_back(frame, entries);
    } else {
        active_->take_back(frame, entries);
    }
}

void disk_index::close_part() {
    IMMORTAL_ASSERT(!closed_ && rest_);
    closed_ = std::move(active_);
    closed_end_ = *rest_;
    active_begin_ = closed_end_.end;
    active_ = make_part();
    changed_.notify_all();
}

base::status disk_index::rest_at(const log_place& here) {
    rest_ = here;
    if (!part_is_large()) {
        return {};
    }
    std::unique_lock lock(mutex_);
    if (meters_) {
        meters_->tail_bytes.set(static_cast<double>(active_->bytes()));
    }
    if (closed_ && active_->bytes() < settings_.tail_bytes_max) {
        return {};
    }
    if (closed_ && !failed_) {
        changed_.wait_for(lock, settings_.patience, [&] { return !closed_ || failed_; });
    }
    if (closed_) {
        return failed_ ? fail(errc::unavailable, "the event log's index cannot be written: restart",
                              "index_failed")
                       : fail(errc::exhausted,
                              store_->waiting_for_space()
                                  ? "the disk is full: nothing was written; free some space"
                                  : "the event log's index cannot follow: try again a little later",
                              store_->waiting_for_space() ? "disk_full" : "index_behind");
    }
    close_part();
    return {};
}

void disk_index::made_durable(base::position durable) {
    const std::lock_guard lock(mutex_);
    durable_ = durable;
    if (closed_ && durable_ >= closed_end_.end) {
        changed_.notify_all();
    }
}

void disk_index::close() {
    {
        std::unique_lock lock(mutex_);
        if (!thread_.joinable()) {
            return;
        }
        const auto written = [&] { return !closed_ || failed_ || durable_ < closed_end_.end; };
        changed_.wait_for(lock, settings_.patience, written);
        if (!closed_ && !failed_ && active_->events() > 0 && rest_ && rest_->end <= durable_) {
            close_part();
            changed_.wait_for(lock, settings_.patience, written);
        }
        stopping_ = true;
        changed_.notify_all();
    }
    store_->give_up();
    thread_.join();
    store_.reset();
}

index_instant disk_index::now() const {
    const std::lock_guard lock(mutex_);
    index_instant out{store_.get(), store_end_, {}};
    if (closed_) {
        out.parts.push_back(closed_);
    }
    out.parts.push_back(active_);
    return out;
}

base::result<base::position> disk_index::frame_before(base::position at, base::position) {
    const index_instant seen = now();
    for (auto part = seen.parts.rbegin(); part != seen.parts.rend(); ++part) {
        if (const auto found = (*part)->frame_before(at)) {
            return *found;
        }
    }
    return store_->frame_before(at);
}

void disk_index::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] {
            return stopping_ || (closed_ && !failed_ && durable_ >= closed_end_.end);
        });
        if (stopping_) {
            return;
        }
        const auto part = closed_;
        const log_place end = closed_end_;
        lock.unlock();
        const auto began = std::chrono::steady_clock::now();
        const auto done = store_->add(*part, end);
        if (meters_) {
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
            meters_->checkpoint_seconds.observe(took.count());
            meters_->checkpoints.add();
        }
        lock.lock();
        if (done) {
            store_end_ = end.end;
            closed_.reset();
        } else {
            failed_ = true;
        }
        changed_.notify_all();
    }
}

} // namespace

std::unique_ptr<log_index> make_disk_index(disk_index_settings settings, base::file_system& files,
                                           base::metrics* metrics) {
    return std::make_unique<disk_index>(std::move(settings), files, metrics);
}

} // namespace immortal::eventlog
