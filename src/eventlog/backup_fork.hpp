// Where the histories of a log and of its backups part.
//
// The chain value at a place stands for everything before it. So the search compares chain values:
// those in the headers of segments and frames that the backups have stored with those that the log
// has at the same places. Where two histories have parted they do not meet again, so a bisection
// finds the place: of a backup only the segment in which they part is read, and the beginnings of a
// few others, of which headers alone do not tell (they were scavenged in another way).
//
// What it finds is for a sentence. So bytes of the backups that cannot be read, for whatever
// reason, and those beyond the bound make it less exact, and are no error.
#pragma once

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/backup_manifest.hpp"
#include "eventlog/backup_pieces.hpp"
#include "eventlog/format.hpp"
#include "eventlog/segment_walk.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace immortal::eventlog {

// Of the header as it is stored.
[[nodiscard]] std::string sha256_of(const format::segment_header& header);
// Whether the backup has the segment with this header. By its checksum only in version 1.
[[nodiscard]] bool is_same_header(const backup_segment& stored,
                                  const format::segment_header& header);

struct fork_place {
    std::optional<base::position> agreed; // the same history up to here; empty: nothing compared
    bool is_exact = true; // false: bytes of the backups that stand behind it were not read
};

// Not thread-safe. What it is given outlives it.
class fork_search {
public:
    struct log_view {
        base::position end;
        std::span<const format::segment_header> headers; // of all segments
        // At a place up to `end`; empty: no frame begins or ends there. An error ends the search.
        std::function<base::result<std::optional<base::digest256>>(base::position)> chain_at;
    };
    // `keep` is called before each piece is read (up to 16 MiB); its error ends the search. At most
    // `bytes_max` are read of the backups.
    fork_search(backup_target& target, log_view log, std::uint64_t bytes_max,
                std::function<base::status()> keep)
        : target_(target), log_(std::move(log)), bytes_left_(bytes_max), keep_(std::move(keep)) {}

    // The chains are known to have the same value here.
    void note_agreement(base::position place);
    // A backup that cannot be compared: its manifest cannot be read.
    void note_unreadable() { found_.is_exact = false; }
    // Reads a backup of the log. Errors: those of `chain_at` and `keep`; a piece that cannot be
    // read is none, and is logged.
    [[nodiscard]] base::status compare(const backup_manifest& manifest);

    [[nodiscard]] const fork_place& found() const { return found_; }

private:
    struct frame_place {
        base::position position;
        base::digest256 chain;
    };
    base::result<bool> agrees(const frame_place& place) const;
    // Whether both have the same history up to the segment's beginning; empty: its header cannot be
    // read.
    base::result<std::optional<bool>> agrees_before(const backup_segment& segment);
    base::result<std::optional<base::digest256>> chain_before(const backup_segment& segment);
    // Empty: it cannot be read, now and later.
    piece_file::bytes fetch(const backup_segment& segment, const backup_piece& piece);
    std::unique_ptr<base::file> file_of(const backup_segment& segment);
    base::result<std::optional<segment_walk>> open(const backup_segment& segment);
    base::result<std::optional<std::size_t>> last_agreeing(const backup_manifest& manifest);
    base::status compare_frames(const backup_manifest& manifest, const backup_segment& stored);
    // How many of the frames, ascending, begin where both have the same history.
    base::result<std::size_t> count_agreeing(const std::vector<frame_place>& frames) const;

    backup_target& target_;
    log_view log_;
    std::uint64_t bytes_left_;
    std::function<base::status()> keep_;
    std::optional<base::error> stopped_; // why no piece is read any more
    std::set<std::string> unreadable_;   // names of pieces
    std::pair<std::string, piece_file::bytes> last_read_;
    // Chain values before segments whose headers were read, by the names of their first pieces.
    std::map<std::string, base::digest256> chains_;
    fork_place found_;
};

} // namespace immortal::eventlog
