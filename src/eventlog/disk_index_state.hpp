// The inside of the index of everyday use: what disk_index.cpp (the writer and the readers) and
// disk_index_background.cpp (its thread) share.
#pragma once

#include "base/metrics.hpp"
#include "eventlog/disk_index.hpp"
#include "eventlog/index.hpp"
#include "eventlog/index_reading.hpp"
#include "eventlog/index_source.hpp"
#include "eventlog/index_store.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace immortal::eventlog {

class disk_index final : public log_index {
public:
    disk_index(disk_index_settings settings, base::file_system& files, base::metrics* metrics)
        : settings_(std::move(settings)), files_(files), active_(make_part()),
          meters_(metrics == nullptr ? nullptr : std::make_unique<meters>(*metrics)) {}
    ~disk_index() override { disk_index::close(); }

    base::status open(const base::log_identity& log) override;
    std::vector<log_place> kept() const override {
        return store_ ? store_->places() : std::vector<log_place>{};
    }
    base::status discard() override;
    void add(base::position frame, std::span<const index_entry> entries) override;
    void take_back(base::position frame, std::span<const index_entry> entries) override;
    base::status rest_at(const log_place& here) override;
    void rest_of_start_at(const log_place& here) override;
    void made_durable(base::position durable) override;
    void expect_close() override;
    void close() override;
    void set_source(index_source& source) override;
    void distrust(std::string_view cause) override;

    base::result<std::optional<base::revision>> last_revision(std::string_view stream,
                                                              base::position end) override {
        return answer([&](const index_instant& seen) { return seen.last_revision(stream, end); });
    }
    base::result<std::vector<base::position>> stream_positions(std::string_view stream,
                                                               base::revision from, direction way,
                                                               std::size_t count_max,
                                                               base::position end) override {
        return answer([&](const index_instant& seen) {
            return seen.stream_positions(stream, from, way, count_max, end);
        });
    }
    base::result<std::uint64_t> view_size(index_view view, std::string_view name,
                                          base::position end) override {
        const list_name list = make_list_name(kind_of(view), name);
        return answer([&](const index_instant& seen) { return seen.size(list, end); });
    }
    base::result<std::vector<base::position>> view_positions(index_view view, std::string_view name,
                                                             std::uint64_t from, direction way,
                                                             std::size_t count_max,
                                                             base::position end) override {
        const list_name list = make_list_name(kind_of(view), name);
        return answer([&](const index_instant& seen) {
            return seen.view_positions(list, from, way, count_max, end);
        });
    }
    base::result<base::position> frame_before(base::position at, base::position) override {
        return answer([&](const index_instant& seen) { return seen.frame_before(at); });
    }

private:
    struct meters {
        explicit meters(base::metrics& to)
            : checkpoints(to.make_counter("immortal_eventlog_index_checkpoints_total",
                                          "Parts of the index put on disk")),
              checkpoint_seconds(to.make_histogram("immortal_eventlog_index_checkpoint_seconds",
                                                   "Time to put a part of the index on disk",
                                                   base::metrics::latency_bounds())),
              tail_bytes(to.make_gauge("immortal_eventlog_index_tail_bytes",
                                       "The index's newest part, in memory")),
              remaking(to.make_gauge("immortal_eventlog_index_remaking",
                                     "1 while a damaged index is made anew from the log")) {}
        base::counter checkpoints;
        base::histogram checkpoint_seconds;
        base::gauge tail_bytes;
        base::gauge remaking;
    };
    using steady = std::chrono::steady_clock;
    // When the next attempt may be made, after failures.
    struct retry {
        int factor = 0; // 0: nothing failed
        steady::time_point next{};
    };

    [[nodiscard]] std::shared_ptr<index_part> make_part() const {
        return std::make_shared<index_part>(settings_.correlations);
    }
    [[nodiscard]] index_store_settings store_settings(const std::string& folder) const {
        return {folder, settings_.correlations, settings_.cache_bytes, settings_.open_files_max,
                settings_.place_spacing};
    }
    [[nodiscard]] std::string second_folder() const {
        return settings_.folder + "/" + second_store_name;
    }
    [[nodiscard]] base::result<std::shared_ptr<index_store>> choose_store();
    [[nodiscard]] index_instant now() const;
    template <typename Ask>
    auto answer(Ask ask) -> decltype(ask(std::declval<const index_instant&>()));
    [[nodiscard]] std::shared_ptr<const index_part> substitute(base::position end);
    // These with mutex_.
    [[nodiscard]] index_files::want missing() const {
        return store_ ? store_->waits_for() : index_files::want::nothing;
    }
    // Until the closed part is on disk, or there is nothing to wait for: after a failure, or while
    // something is missing, it may take long. Not beyond `limit`, nor that of a close.
    void await_part(std::unique_lock<std::mutex>& lock,
                    std::chrono::steady_clock::time_point limit);
    void close_part(); // with mutex_
    [[nodiscard]] bool part_is_large() const {
        return active_->events() >= settings_.part_events_max ||
               active_->bytes() >= settings_.part_bytes_max ||
               (active_->events() > 0 &&
                rest_->end.value - active_begin_.value >= settings_.part_log_bytes_max);
    }

    // The background; these hold mutex_ when they are called and when they return.
    using held_lock = std::unique_lock<std::mutex>;
    void run();
    [[nodiscard]] bool part_is_due() const {
        return closed_ && durable_ >= closed_end_.end && steady::now() >= part_retry_.next;
    }
    [[nodiscard]] bool remake_is_due() const {
        return remake_wanted_ && source_ != nullptr && steady::now() >= remake_retry_.next;
    }
    [[nodiscard]] std::optional<steady::time_point> next_attempt() const;
    void postpone(retry& what) const;
    void put_part(held_lock& lock);
    void reopen(held_lock& lock);
    void remake(held_lock& lock);
    [[nodiscard]] base::status remake_into(index_store& made);
    void take(std::shared_ptr<index_store> next, held_lock& lock);
    void remove_retired(held_lock& lock);
    void remove_leftover(held_lock& lock);

    const disk_index_settings settings_;
    base::file_system& files_;
    base::log_identity log_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<index_store> store_; // null: none could be made yet
    std::shared_ptr<index_part> active_; // the writer changes it
    std::shared_ptr<index_part> closed_; // on its way to the disk
    log_place closed_end_;
    base::position active_begin_; // the writer's
    base::position store_end_;    // where the parts begin
    base::position durable_;
    index_source* source_ = nullptr;
    bool stopping_ = false;
    steady::time_point close_deadline_ = steady::time_point::max();
    bool remake_wanted_ = false;
    retry part_retry_;
    retry remake_retry_;
    std::shared_ptr<index_store> making_;  // by remake(), to be given up at a close
    std::optional<std::string> leftover_;  // a folder that cannot be used; its files go
    std::shared_ptr<index_store> retired_; // replaced; its files go when nobody reads it
    std::optional<log_place> rest_;        // the writer's: the end of active_, if known
    bool over_bound_ = false;              // the same: it was warned of
    std::mutex substitute_mutex_;
    std::shared_ptr<const index_part> substitute_; // of a small log, while the index is damaged
    base::position substitute_end_;
    std::unique_ptr<meters> meters_;
    std::thread thread_;
};

} // namespace immortal::eventlog
