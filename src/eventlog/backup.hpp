// Backups of a log, incremental, taken while a server writes it or not; and restoring them. The
// layout of a target is in docs/eventlog-format.md.
//
// A backup reads the head anchor and then what stands before it, which no one changes any more; so
// it needs no lock. A scavenge meanwhile replaces whole files, of which an open one stays as it is.
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/result.hpp"
#include "eventlog/backup_manifest.hpp"
#include "eventlog/backup_target.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace immortal::eventlog {

// In a folder that a restore has not finished: such a log is not opened.
constexpr const char* restore_marker = "restore-incomplete";

struct backup_progress {
    std::uint64_t bytes_done = 0; // of the log's files
    std::uint64_t bytes_total = 0;
};
// False: stop, with errc::cancelled. What was stored is used by the next attempt.
using progress_callback = std::function<bool(const backup_progress&)>;

struct backup_report {
    backup_manifest manifest;
    std::uint64_t bytes_new = 0; // stored by this backup
    std::uint64_t blobs_new = 0;
};

// Stores what the target does not have yet of the log in `folder`, then its manifest. Every segment
// that is stored, or was begun, is checked on the way. A target holds the backups of one log, over
// all its epochs; one backup at a time. Errors: not_found (no log), corrupt (the log is damaged:
// the message names the place), conflict with reason "foreign" (the target holds another log's
// backups), cancelled, those of the target, unavailable.
[[nodiscard]] base::result<backup_report> make_backup(const std::string& folder,
                                                      base::file_system& files, base::clock& clock,
                                                      backup_target& target,
                                                      const progress_callback& progress = {});

struct backup_entry {
    std::string name; // of the manifest, without its folder
    base::result<backup_manifest> manifest;
};
// Oldest first, damaged ones too.
[[nodiscard]] base::result<std::vector<backup_entry>> list_backups(backup_target& target);

struct restore_options {
    std::optional<base::position> at; // keep the appends whose last event stands here or before
    std::string backup; // name as in backup_entry; empty: the newest, or the oldest that has `at`
    progress_callback progress = {};
};

struct restore_report {
    base::log_identity log; // the epoch is new
    std::string backup;     // that was used
    base::position end;
    std::uint64_t events = 0;
    std::optional<base::position> last_event;
    std::uint64_t bytes = 0;
};

// Makes the log anew in `folder`, which must be empty or hold a restore that was not finished.
// Every piece and every frame is checked. Errors: not_found (no backup; a piece is missing:
// the message names it), corrupt (a piece or a manifest is damaged, likewise), invalid_argument
// (`at` lies beyond the backups), already_exists (the folder is not empty), in_use as log::open,
// cancelled, those of the target, exhausted, unavailable. After an error or a crash the folder
// holds the marker.
[[nodiscard]] base::result<restore_report>
restore_backup(backup_target& target, const std::string& folder, base::file_system& files,
               base::clock& clock, const restore_options& options = {});

struct prune_report {
    std::uint64_t backups_removed = 0;
    std::uint64_t blobs_removed = 0;
    std::uint64_t bytes_removed = 0;
};
// Removes all but the newest `keep` backups (at least 1), and the blobs that none of those needs.
// Not beside a backup into the same target. Errors: those of the target, corrupt (a backup to be
// kept is damaged: nothing was removed).
[[nodiscard]] base::result<prune_report> prune_backups(backup_target& target, std::size_t keep);

} // namespace immortal::eventlog
