// Backups of a log, incremental, taken while a server writes it or not; and restoring them. The
// layout of a target is in docs/eventlog-format.md, the reasons in ADR 17.
//
// A backup reads the head anchor and then what stands before it, which no one changes any more; so
// it needs no lock on the log. A scavenge meanwhile replaces whole files, of which an open one
// stays as it is. In the target one backup or prune works at a time, by a lease (backup_lease.hpp).
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "eventlog/backup_lease.hpp"
#include "eventlog/backup_manifest.hpp"
#include "eventlog/backup_target.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace immortal::eventlog {

// In a folder that a restore has not finished: such a log is not opened.
constexpr const char* restore_marker = "restore-incomplete";

struct backup_progress {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;
};
// False: stop, with errc::cancelled. What was stored is used by the next attempt.
using progress_callback = std::function<bool(const backup_progress&)>;

struct backup_options {
    progress_callback progress = {};
    // So much is read of the backups to find where the log went another way than they (new_line): a
    // segment of the usual size, and the beginnings of others.
    std::uint64_t fork_bytes_max = 512u << 20u;
    lease_options lease = {};
};

// Why a backup did not continue the newest one.
struct new_line {
    std::string left; // name of the backup that the log does not continue
    // Up to here, the beginning or end of a frame, the log's history is that of a backup; empty:
    // nothing of the backups that is still stored can be compared with the log.
    std::optional<base::position> fork;
    bool is_exact; // false: they may agree further; what stands there was not read: it could not
                   // be, or was too much
};

struct backup_report {
    backup_manifest manifest;
    std::uint64_t bytes_new = 0; // stored by this backup
    std::uint64_t blobs_new = 0;
    std::optional<new_line> begun; // the backup is the first one of a new line
};

// Stores what the target does not have yet of the log in `folder`, then its manifest. Every segment
// that is stored, or was begun, is checked on the way. A target holds the backups of one log, over
// all its epochs. What an earlier backup stored is used where the log agrees with that backup: by
// the chain value at its end, and by the header of each segment. A log that does not continue the
// newest backup of any line begins a new line; the others stay as they are. Before the manifest is
// put, the pieces it names are looked for once more. Errors: not_found (no log), corrupt (the log
// is damaged: the message names the place), conflict with reason "foreign" (the target holds
// another log's backups) or "lease_lost" (the lease ran out meanwhile), already_exists with reason
// "in_use" (another backup or prune is under way), cancelled, those of the target, unavailable.
[[nodiscard]] base::result<backup_report> make_backup(const std::string& folder,
                                                      base::file_system& files, base::clock& clock,
                                                      backup_target& target,
                                                      const backup_options& options = {});

struct backup_entry {
    std::string name; // of the manifest, without its folder
    base::result<backup_manifest> manifest;
    base::status pieces; // whether they are all there, with their sizes

    [[nodiscard]] bool good() const { return manifest && pieces; }
    [[nodiscard]] const base::error& problem() const { // precondition: not good()
        return manifest ? pieces.error() : manifest.error();
    }
    [[nodiscard]] backup_place place() const; // least if the name says nothing
};
// Oldest first (backup_place), those that cannot be restored too.
[[nodiscard]] base::result<std::vector<backup_entry>> list_backups(backup_target& target);

struct restore_options {
    std::optional<base::position> at =
        {}; // keep the appends whose last event stands here or before
    // Name as in backup_entry; empty: the newest, or the oldest of its line and epoch that has
    // `at`.
    std::string backup = {};
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
// the message names it), corrupt (a piece or a manifest is damaged, likewise; of a piece, of either
// kind, with the reason "damaged_backup" and the backup's name as the field), invalid_argument
// (`at` lies beyond the backups), already_exists (the folder is not empty), in_use as log::open,
// cancelled, those of the target, exhausted, unavailable. After an error or a crash the folder
// holds the marker, or was not made: if the target cannot be read, nothing is.
[[nodiscard]] base::result<restore_report>
restore_backup(backup_target& target, const std::string& folder, base::file_system& files,
               base::clock& clock, const restore_options& options = {});

struct prune_options {
    std::size_t keep = 1; // of the newest restorable ones of each line; at least 1
    // Pieces that no backup needs are removed by the first prune that finds them so again after
    // this time: until then a backup that was interrupted finds what it had stored.
    std::chrono::seconds grace = std::chrono::hours(24);
    std::uint32_t dropped_line = 0; // all its backups are removed; 0: none
    lease_options lease = {};
};

struct prune_report {
    std::uint64_t backups_removed = 0;
    std::uint64_t blobs_removed = 0;
    std::uint64_t bytes_removed = 0;
    std::uint64_t blobs_waiting = 0; // not needed, and not removed yet
    std::uint64_t bytes_waiting = 0;
};
// Removes all but the newest backups, and pieces that none of those needs. A backup that cannot be
// restored (backup_entry::good) is kept until `keep` newer ones can be. Errors: those of the
// target, corrupt (a manifest to be kept cannot be read: nothing was removed), invalid_argument
// (the line to be dropped is not there, is the only one, or alone can be restored), already_exists
// and conflict as make_backup.
[[nodiscard]] base::result<prune_report> prune_backups(backup_target& target, base::clock& clock,
                                                       const prune_options& options);

struct backup_sample {
    std::uint64_t pieces = 0;  // so many, or
    std::uint64_t percent = 0; // so many of a hundred, at least one
};

struct backup_check_options {
    std::string backup = {}; // name as in backup_entry; empty: all
    // Only so many pieces, drawn at random, are read, and no chain is checked; whether every piece
    // is there is looked at all the same.
    std::optional<backup_sample> sample = {};
    progress_callback progress = {};
};

struct backup_check_report {
    std::uint64_t backups = 0;
    std::uint64_t pieces = 0; // that they need, each counted once
    std::uint64_t pieces_read = 0;
    std::uint64_t bytes_read = 0;        // of pieces
    std::vector<std::string> findings;   // sentences; each names what is missing or damaged
    std::vector<std::string> restorable; // backups in which nothing was found, the newest first

    [[nodiscard]] bool sound() const { return findings.empty(); }
};

// Reads backups without restoring them: every piece against its hash, every segment's frames, the
// hash chain through each backup up to the end that its manifest names. Changes nothing and takes
// no lease. Errors: not_found (no backup of that name), cancelled, those of the target.
[[nodiscard]] base::result<backup_check_report>
check_backups(backup_target& target, base::random_source& random,
              const backup_check_options& options = {});

} // namespace immortal::eventlog
