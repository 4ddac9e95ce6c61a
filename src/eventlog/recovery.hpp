// Opens what stands in a log's folder, or makes a new log.
#pragma once

#include "eventlog/anchor.hpp"
#include "eventlog/index.hpp"
#include "eventlog/log.hpp"
#include "eventlog/recent_ids.hpp"
#include "eventlog/segment_scan.hpp"

#include <memory>
#include <optional>

namespace immortal::eventlog {

struct recovered_log {
    head_anchor anchor;
    std::unique_ptr<segment_list> segments;
    scan_state state;
    std::uint64_t bytes_cut = 0; // of a torn tail, kept in *.torn files
    // Up to where the index was believed; empty: it had nothing, or was made anew.
    std::optional<log_place> indexed{};
};

// Makes the log when the folder holds none (or an unfinished attempt to make one). Checks that
// every segment is there, is the one that belongs there and has its length; reads and checks the
// frames after the last place the index keeps (and those of the newest ids), fills `index` and
// `ids`, cuts a torn tail after the head anchor, and moves the anchor to what was found. An index
// that does not fit the log is thrown away and filled from the log's beginning. At or below the
// anchor nothing of the log is changed: errc::corrupt says what is damaged. Precondition: the
// folder's lock is held.
[[nodiscard]] base::result<recovered_log> recover(const log_settings& settings,
                                                  base::file_system& files, base::clock& clock,
                                                  base::random_source& random, log_index& index,
                                                  recent_ids& ids);

} // namespace immortal::eventlog
