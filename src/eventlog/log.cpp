#include "eventlog/log.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/event_clock.hpp"
#include "eventlog/index.hpp"
#include "eventlog/index_check.hpp"
#include "eventlog/index_source.hpp"
#include "eventlog/log_scavenger.hpp"
#include "eventlog/memory_index.hpp"
#include "eventlog/scavenge_segment.hpp"
#include "eventlog/writer.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

class open_log final : public log {
public:
    open_log(log_settings settings, base::file_system& files, base::clock& clock,
             base::metrics* metrics, std::unique_ptr<base::file_lock> lock,
             std::unique_ptr<log_index> index, recent_ids ids, recovered_log recovered,
             std::uint64_t ids_seed)
        : settings_(std::move(settings)), lock_(std::move(lock)), index_(std::move(index)),
          ids_(std::move(ids)), segments_(std::move(recovered.segments)),
          source_(*segments_, recovered.state.log_id),
          clock_(clock, settings_.clock_jump_min, settings_.clock_jump_hold, metrics),
          reader_(*segments_, *index_, head_, clock_, settings_.known_metadata),
          writer_({settings_, files, clock_, metrics, *segments_, *index_, head_, reader_, ids_,
                   [this](std::span<const index_entry> entries) { publish(entries); }},
                  recovered),
          scavenger_({settings_.folder, settings_.free_space_min, settings_.scavenge_reserve_bytes,
                      files, clock_, *segments_, *index_, reader_, head_, ids_seed}) {
        if (recovered.indexed) {
            const auto missing = missing_entry(*index_, reader_, *recovered.indexed, head_.end(),
                                               settings_.index.correlations);
            if (missing) {
                index_->distrust(*missing);
            }
        }
        index_->set_source(source_);
        clock_.compare_with_log(recovered.state.last_created);
    }

    ~open_log() override { open_log::close(); }

    void append(std::vector<stream_write> writes, append_callback done,
                append_terms terms) override {
        IMMORTAL_ASSERT(done != nullptr);
        writer_.append(std::move(writes), std::move(done), std::move(terms));
    }

    base::result<stream_slice> read_stream(std::string_view stream, base::revision from,
                                           direction way, std::size_t count_max,
                                           const read_bounds& bounds) override {
        return reader_.read_stream(stream, from, way, count_max, bounds);
    }

    base::result<log_slice> read_all(base::position from, direction way, std::size_t count_max,
                                     const record_filter& filter, std::uint64_t scan_bytes_max,
                                     read_start where, std::size_t considered_max) override {
        if (count_max == 0 || considered_max == 0) {
            return fail(errc::invalid_argument, "a read asks for at least one event", {}, "count");
        }
        return way == direction::forwards
                   ? reader_.forwards(from, count_max, filter, scan_bytes_max, where,
                                      considered_max)
                   : reader_.backwards(from, count_max, filter, scan_bytes_max);
    }

    base::result<view_slice> read_view(index_view view, std::string_view name, std::uint64_t from,
                                       direction way, std::size_t count_max,
                                       const read_bounds& bounds) override {
        return reader_.read_view(view, name, from, way, count_max, bounds);
    }

    base::result<std::uint64_t> view_size(index_view view, std::string_view name) override {
        return index_->view_size(view, name, head_.end());
    }

    base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) override {
        return reader_.are_shown(events);
    }

    base::result<stream_info> info(std::string_view stream) override {
        return reader_.info(stream);
    }

    base::result<std::optional<recorded_event>> tombstone(std::string_view stream) override {
        return reader_.tombstone(stream);
    }

    base::result<std::optional<base::revision>> stream_head(std::string_view stream) override {
        return index_->last_revision(stream, head_.end());
    }

    std::uint64_t add_listener(publication_callback listener) override {
        const std::lock_guard lock(listeners_mutex_);
        listeners_.emplace(++last_ticket_, std::move(listener));
        return last_ticket_;
    }

    void remove_listener(std::uint64_t ticket) override {
        const std::lock_guard lock(listeners_mutex_);
        listeners_.erase(ticket);
    }

    log_head head() const override { return head_.get(); }
    base::log_identity identity() const override { return writer_.identity(); }
    log_state state() const override { return writer_.state(); }

    scavenger& scavenges() override { return scavenger_; }

    void close() override {
        scavenger_.close();
        index_->expect_close();
        writer_.stop();
        index_->close();
        lock_.reset();
    }

private:
    void publish(std::span<const index_entry> entries) {
        const publication what{head_.get(), entries};
        const std::lock_guard lock(listeners_mutex_);
        for (const auto& [ticket, listener] : listeners_) {
            listener(what);
        }
    }

    log_settings settings_;
    std::unique_ptr<base::file_lock> lock_;
    std::unique_ptr<log_index> index_;
    recent_ids ids_;
    std::unique_ptr<segment_list> segments_;
    log_index_source source_;
    durable_head head_;
    event_clock clock_;
    log_reader reader_;
    std::mutex listeners_mutex_;
    std::map<std::uint64_t, publication_callback> listeners_;
    std::uint64_t last_ticket_ = 0;
    log_writer writer_; // these last: their threads use all the others
    log_scavenger scavenger_;
};

} // namespace

base::result<std::unique_ptr<log>> log::open(log_settings settings, base::file_system& files,
                                             base::clock& clock, base::random_source& random,
                                             base::metrics* metrics) {
    IMMORTAL_ASSERT(settings.group_appends_max > 0 && settings.queue_appends_max > 0);
    IMMORTAL_ASSERT(settings.append_events_max <= append_events_max &&
                    settings.append_frame_size_max <= append_frame_size_max);
    if (auto made = files.make_directory(settings.folder); !made) {
        base::log_error("eventlog", "the folder could not be made", {{"cause", made.error().text}});
        return fail(base::to_error(made.error()));
    }
    auto lock = files.lock(settings.folder + "/lock");
    if (!lock) {
        if (lock.error().what == base::file_error::kind::in_use) {
            return fail(errc::already_exists,
                        "the event log is open in another process: stop that one first, or name "
                        "another data folder",
                        "in_use");
        }
        base::log_error("eventlog", "the folder could not be locked",
                        {{"cause", lock.error().text}});
        return fail(base::to_error(lock.error()));
    }
    if (const auto marker =
            files.open(settings.folder + "/" + restore_marker, base::open_mode::read);
        marker) {
        return fail(errc::corrupt, "a restore into this folder was not finished: run `immortal "
                                   "restore` again");
    } else if (marker.error().what != base::file_error::kind::not_found) {
        base::log_error("eventlog", "whether a restore was not finished could not be read",
                        {{"cause", marker.error().text}});
        return fail(base::to_error(marker.error()));
    }
    scavenge_reserve reserve(files, settings.folder, settings.scavenge_reserve_bytes);
    if (auto cleared = remove_unfinished_rewrites(files, settings.folder, reserve); !cleared) {
        base::log_warning("eventlog", "what an interrupted scavenge left could not be removed",
                          {{"cause", cleared.error().text}});
    }
    settings.index.place_spacing = std::max<std::uint64_t>(settings.remembered_ids / 4, 1);
    auto index = settings.index.folder.empty() ? make_memory_index(settings.index.correlations)
                                               : make_disk_index(settings.index, files, metrics);
    recent_ids ids(settings.remembered_ids, random.next());
    auto recovered = recover(settings, files, clock, random, *index, ids);
    if (!recovered) {
        return fail(std::move(recovered.error()));
    }
    return std::make_unique<open_log>(std::move(settings), files, clock, metrics, std::move(*lock),
                                      std::move(index), std::move(ids), std::move(*recovered),
                                      random.next());
}

} // namespace immortal::eventlog
