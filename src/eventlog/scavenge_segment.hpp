// Rewrites one closed segment.
#pragma once

#include "base/file.hpp"
#include "base/result.hpp"
#include "eventlog/record.hpp"
#include "eventlog/scavenge_reserve.hpp"
#include "eventlog/scavenger.hpp"
#include "eventlog/segment.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace immortal::eventlog {

struct segment_rewrite {
    base::file_system& files;
    std::string folder;
    std::shared_ptr<segment> from;
    base::position end; // of what is taken over: the segment's, or that of one of its frames
    base::digest256 last_chain{};     // at `end`
    std::uint64_t free_space_min = 0; // on the disk, beside the new file
    // Whether a record is to be removed. Errors end the rewriting.
    std::function<base::result<bool>(const record_view&)> removes;
    // Called for each piece that was read; false: stop, with errc::cancelled.
    std::function<bool(std::uint64_t bytes)> go_on = [](std::uint64_t) { return true; };
};

// Reads the segment and says what would be gained; changes nothing. Errors: corrupt (it is
// damaged), cancelled, unavailable, those of `removes`.
[[nodiscard]] base::result<segment_gain> measure_gain(const segment_rewrite& what);

struct rewritten_segment {
    std::shared_ptr<segment> now;
    std::uint64_t events_removed = 0;
    std::uint64_t bytes_saved = 0; // on disk
    // It stands in the old file's place, but may not after a power cut: the folder's sync failed.
    std::optional<base::error> unsynced;
};

// Whether new forms, of `bytes` together, can be written beside the old files. Errors: unavailable.
[[nodiscard]] base::result<bool> has_room(const segment_rewrite& what, std::uint64_t bytes);

// Writes the segment anew under another name, reads it back, and puts it in the place of the old
// file, durably. `reserve`: what it is written into; null: a new file. Errors: corrupt (the old
// file is damaged, or the new one was not what was written), exhausted (too little space),
// cancelled, unavailable, those of `removes`. After an error the old file stands.
[[nodiscard]] base::result<rewritten_segment>
rewrite(const segment_rewrite& what, const segment_gain& gain, scavenge_reserve* reserve);

// The same, whether or not there is anything to remove, into a file at `path`, which is not there
// yet; the old file stays. Durable but for its name. The header as it was written.
[[nodiscard]] base::result<format::segment_header> write_scavenged(const segment_rewrite& what,
                                                                   const std::string& path,
                                                                   std::uint64_t& events_removed);

// Removes what an interrupted rewriting left in `folder`; what was written into the reserve becomes
// the reserve again.
[[nodiscard]] base::file_status remove_unfinished_rewrites(base::file_system& files,
                                                           const std::string& folder,
                                                           scavenge_reserve& reserve);

} // namespace immortal::eventlog
