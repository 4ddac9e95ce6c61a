#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/backup_pieces.hpp"
#include "eventlog/scavenge_segment.hpp"
#include "eventlog/segment_files.hpp"
#include "eventlog/segment_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;
using base::file_error;
using base::open_mode;

std::unexpected<base::error> environment(const file_error& problem) {
    base::log_error("eventlog", "the log could not be restored", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

// A number that no epoch of the log had: greater than the backup's, and another one for a second
// restore of the same backup.
std::uint32_t next_epoch(std::uint32_t last, base::utc_time now) {
    constexpr base::utc_time start(std::chrono::seconds(1'735'689'600)); // 2025
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - start).count();
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(seconds, std::int64_t{last} + 1, 0x7FFFFFFF));
}

class restoring {
public:
    restoring(backup_target& target, const std::string& folder, base::file_system& files,
              const restore_options& options)
        : target_(target), folder_(folder), files_(files), options_(options) {}

    base::result<restore_report> run(const std::vector<backup_entry>& entries, base::clock& clock);

private:
    base::status choose(const std::vector<backup_entry>& entries);
    base::status prepare();
    base::status fetch(const backup_segment& segment);
    base::status check(const backup_segment& segment);
    base::status cut(const backup_segment& last, base::utc_time now);
    base::status cut_scavenged(const backup_segment& last, const std::string& path,
                               base::utc_time now);
    base::status finish(base::utc_time now);
    base::status remove_file(const std::string& name);
    [[nodiscard]] std::unexpected<base::error> unusable(const base::error& problem) const;
    [[nodiscard]] std::string path_of(std::uint32_t number) const {
        return folder_ + "/" + format::segment_name(number);
    }

    backup_target& target_;
    const std::string& folder_;
    base::file_system& files_;
    const restore_options& options_;
    backup_manifest manifest_;
    std::string name_;
    scan_state state_;       // at the end of what is kept
    std::uint32_t last_ = 0; // segment that holds the end
    bool ended_ = false;     // the place to stop at was met
    std::uint32_t epoch_ = 0;
    backup_progress done_;
    chain_hasher hasher_;
};

// Of the backup, as opposed to the folder that it is restored into.
std::unexpected<base::error> restoring::unusable(const base::error& problem) const {
    const bool damaged = problem.code == errc::not_found || problem.code == errc::corrupt;
    return damaged ? fail(problem.code,
                          fmt::format("backup {} cannot be restored: {}", name_, problem.message),
                          "damaged_backup", name_)
                   : fail(problem);
}

base::status restoring::choose(const std::vector<backup_entry>& entries) {
    if (entries.empty()) {
        return fail(errc::not_found, "there is no backup at this place");
    }
    const backup_entry* chosen = nullptr;
    const auto has_place = [&](const backup_entry& entry, const backup_entry& later) {
        return entry.manifest && later.manifest && entry.manifest->line == later.manifest->line &&
               entry.manifest->log.epoch == later.manifest->log.epoch &&
               entry.manifest->last_event >= *options_.at;
    };
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) { // the newest first
        const bool wanted = options_.backup.empty()
                                ? !chosen || (options_.at && has_place(*entry, *chosen))
                                : entry->name == options_.backup;
        chosen = wanted ? &*entry : chosen;
    }
    if (chosen == nullptr) {
        return fail(errc::not_found, "there is no backup " + options_.backup);
    }
    name_ = chosen->name;
    if (!chosen->good()) {
        return unusable(chosen->problem());
    }
    manifest_ = *chosen->manifest;
    if (options_.at && *options_.at >= manifest_.end) {
        return fail(errc::invalid_argument,
                    fmt::format("the backup reaches up to position {} only", manifest_.end.value),
                    {}, "at");
    }
    return {};
}

base::status restoring::remove_file(const std::string& name) {
    const auto removed = files_.remove(folder_ + "/" + name);
    return removed || removed.error().what == file_error::kind::not_found
               ? base::status{}
               : environment(removed.error());
}

// The marker comes first, before anything that may fail, and goes last.
base::status restoring::prepare() {
    const auto names = files_.list(folder_);
    if (!names) {
        return environment(names.error());
    }
    const bool unfinished = std::ranges::find(*names, restore_marker) != names->end();
    for (const std::string& name : *names) {
        if (name == "lock" || name == restore_marker) {
            continue;
        }
        if (!unfinished) {
            return fail(errc::already_exists, "the folder is not empty: restore into a new one");
        }
        if (auto removed = remove_file(name); !removed) {
            return removed;
        }
    }
    if (!unfinished) {
        const auto marker = files_.open(folder_ + "/" + restore_marker, open_mode::create_new);
        const auto synced = marker ? (*marker)->sync() : std::unexpected(marker.error());
        if (!synced) {
            return environment(synced.error());
        }
    }
    const auto synced = files_.sync_directory(folder_);
    return synced ? base::status{} : environment(synced.error());
}

base::status restoring::fetch(const backup_segment& segment) {
    auto file = files_.open(path_of(segment.number), open_mode::create_new);
    if (!file) {
        return environment(file.error());
    }
    for (const backup_piece& piece : segment.pieces) {
        const auto bytes = fetch_piece(target_, segment, piece);
        if (!bytes) {
            return unusable(bytes.error());
        }
        if (const auto written = (*file)->write_at(piece.offset, *bytes); !written) {
            return environment(written.error());
        }
        done_.bytes_done += piece.size;
        if (options_.progress && !options_.progress(done_)) {
            return fail(errc::cancelled, "the restore was stopped");
        }
    }
    const auto synced = (*file)->sync();
    return synced ? base::status{} : environment(synced.error());
}

// Reads what was fetched, up to the place to stop at.
base::status restoring::check(const backup_segment& segment) {
    const auto damaged = [&](std::uint64_t offset, std::string_view what) {
        return unusable(
            {errc::corrupt, fmt::format("the backup does not hold together: {} at offset {}: {}",
                                        format::segment_name(segment.number), offset, what)});
    };
    IMMORTAL_ASSERT(!ended_ && state_.end.value == segment.first_position);
    state_.next_segment = segment.number;
    auto walk = segment_walk::open(files_, folder_, segment.number);
    if (!walk) {
        return environment(walk.error());
    }
    if (walk->size() != segment.logical_size) {
        return damaged(0, "it has another length");
    }
    auto fault = walk->enter(state_);
    if (fault && !*fault) {
        fault = walk->check_contents();
    }
    if (!fault) {
        return environment(fault.error());
    }
    if (*fault) {
        return damaged((*fault)->offset, (*fault)->what);
    }
    const auto& entered = *walk->entered();
    last_ = segment.number;
    const scan_state before = state_;
    base::position stop = entered.first_frame();
    scan_visitor visit;
    base::position frame_end;
    visit.frame = [&](const frame_view& frame) { frame_end = frame.end(); };
    visit.record = [&](const record_view& record) {
        if (record.last_in_batch() && (!options_.at || record.position <= *options_.at)) {
            stop = frame_end;
        }
    };
    auto scanned = walk->scan(segment.logical_size, state_, hasher_, visit);
    if (!scanned) {
        return environment(scanned.error());
    }
    if (*scanned) {
        return damaged((*scanned)->offset, (*scanned)->what);
    }
    if (options_.at && stop < state_.end) { // again, up to that place
        ended_ = true;
        state_ = before;
        scanned = walk->scan(entered.offset_of(stop), state_, hasher_);
        if (!scanned) {
            return environment(scanned.error());
        }
        if (*scanned) {
            return damaged((*scanned)->offset, (*scanned)->what);
        }
        IMMORTAL_ASSERT(state_.end == stop);
    }
    return {};
}

// Ends the log at `state_`, in a segment that can be written on.
base::status restoring::cut(const backup_segment& last, base::utc_time now) {
    const std::string path = path_of(last.number);
    IMMORTAL_ASSERT(last.number == last_);
    IMMORTAL_ASSERT(state_.end.value >= last.first_position + sizeof(format::segment_header));
    if (last.scavenged) {
        return cut_scavenged(last, path, now);
    }
    auto file = files_.open(path, open_mode::read_write);
    auto done = file ? (*file)->truncate(state_.end.value - last.first_position)
                     : base::file_status(std::unexpected(file.error()));
    done = done ? (*file)->sync() : done;
    return done ? base::status{} : environment(done.error());
}

base::status restoring::cut_scavenged(const backup_segment& last, const std::string& path,
                                      base::utc_time now) {
    const std::uint64_t kept = state_.end.value - last.first_position;
    if (kept == sizeof(format::segment_header)) { // nothing of it: it is made anew
        state_.end = {last.first_position};
        state_.next_segment = last.number;
    } else if (kept < last.logical_size) {
        scan_state place;
        place.log_id = manifest_.log.id;
        place.next_segment = last.number;
        place.end = {last.first_position};
        auto old = segment_walk::open(files_, folder_, last.number);
        const auto fault =
            old ? old->enter(place, chain_check::unknown)
                : base::file_result<std::optional<scan_fault>>(std::unexpected(old.error()));
        if (!fault) {
            return environment(fault.error());
        }
        if (*fault) { // it was checked a moment ago
            return fail(errc::corrupt, "the restored log was read back with other bytes: the disk "
                                       "is not to be trusted");
        }
        IMMORTAL_ASSERT(old->entered()->scavenged());
        std::uint64_t removed = 0;
        const std::string shorter = path + ".rewriting";
        const auto header = write_scavenged(
            {.files = files_,
             .folder = folder_,
             .from = old->entered(),
             .end = state_.end,
             .last_chain = state_.chain,
             .removes = [](const record_view&) { return base::result<bool>(false); }},
            shorter, removed);
        if (!header) {
            return fail(header.error());
        }
        if (const auto renamed = files_.rename(shorter, path); !renamed) {
            return environment(renamed.error());
        }
    }
    const auto next = create_segment(files_, folder_, state_, epoch_, now);
    if (!next) {
        return environment(next.error());
    }
    IMMORTAL_ASSERT((*next)->first() == state_.end && !(*next)->scavenged());
    last_ = state_.next_segment;
    state_.end = (*next)->first_frame();
    return {};
}

base::status restoring::finish(base::utc_time now) {
    if (auto done = cut(manifest_.segments[last_], now); !done) {
        return done;
    }
    if (const auto synced = files_.sync_directory(folder_); !synced) {
        return environment(synced.error());
    }
    IMMORTAL_ASSERT(last_ < manifest_.segments.size() + 1 && state_.end.value > 0);
    const auto anchor = head_anchor::create(files_, folder_,
                                            {.log = {manifest_.log.id, epoch_},
                                             .segment = last_,
                                             .end = state_.end,
                                             .event_count = state_.events,
                                             .last_event = state_.last_event,
                                             .chain = state_.chain});
    if (!anchor) {
        return environment(anchor.error());
    }
    if (auto removed = remove_file(restore_marker); !removed) {
        return removed;
    }
    const auto synced = files_.sync_directory(folder_);
    return synced ? base::status{} : environment(synced.error());
}

base::result<restore_report> restoring::run(const std::vector<backup_entry>& entries,
                                            base::clock& clock) {
    base::status done = prepare();
    done = done ? choose(entries) : done;
    if (!done) {
        return fail(std::move(done.error()));
    }
    epoch_ = next_epoch(manifest_.log.epoch, clock.now());
    done_.bytes_total = manifest_.stored_bytes();
    state_.log_id = manifest_.log.id;
    state_.chain = hasher_.genesis(manifest_.log.id);
    for (const backup_segment& segment : manifest_.segments) {
        done = fetch(segment);
        done = done ? check(segment) : done;
        if (!done) {
            return fail(std::move(done.error()));
        }
        if (ended_) {
            break;
        }
    }
    if (!ended_ && (state_.end != manifest_.end || state_.chain != manifest_.chain ||
                    state_.events != manifest_.events)) {
        return unusable({errc::corrupt, "the backup does not hold together: its end is not the "
                                        "one its manifest names"});
    }
    if (done = finish(clock.now()); !done) {
        return fail(std::move(done.error()));
    }
    return restore_report{.log = {manifest_.log.id, epoch_},
                          .backup = name_,
                          .end = state_.end,
                          .events = state_.events,
                          .last_event =
                              state_.events == 0 ? std::nullopt : std::optional(state_.last_event),
                          .bytes = done_.bytes_done};
}

} // namespace

base::result<restore_report> restore_backup(backup_target& target, const std::string& folder,
                                            base::file_system& files, base::clock& clock,
                                            const restore_options& options) {
    const auto entries = list_backups(target);
    if (!entries) { // the place cannot be read: nothing is made
        return fail(entries.error());
    }
    if (auto made = files.make_directory(folder); !made) {
        return environment(made.error());
    }
    const auto lock = files.lock(folder + "/lock");
    if (!lock) {
        return lock.error().what == file_error::kind::in_use
                   ? fail(errc::already_exists, "the folder is in use by another process", "in_use")
                   : environment(lock.error());
    }
    return restoring(target, folder, files, options).run(*entries, clock);
}

} // namespace immortal::eventlog
