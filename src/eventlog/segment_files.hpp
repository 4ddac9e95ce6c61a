// Makes and cuts the files of segments.
#pragma once

#include "eventlog/segment_scan.hpp"

#include <memory>
#include <span>
#include <string>

namespace immortal::eventlog {

// Makes the file of a segment that follows `state`; contents and name are durable when it returns.
// A leftover of the same name is replaced.
[[nodiscard]] base::file_result<std::shared_ptr<segment>>
create_segment(base::file_system& files, const std::string& folder, const scan_state& state,
               std::uint32_t epoch, base::utc_time now);

// Removes what follows `offset` in segment `number`, and the segments of `present` after it; keeps
// the bytes beside the log as *.torn. Returns how many bytes that were. Durable when it returns.
[[nodiscard]] base::file_result<std::uint64_t>
cut_torn_tail(base::file_system& files, const std::string& folder,
              std::span<const std::uint32_t> present, std::uint32_t number, std::uint64_t offset,
              const std::string& cause);

// Makes durable what a start found in the last segment between `anchored`, the end that the anchor
// knows, and `end`. After a failed sync it may stand in memory only and be taken for written: a
// second sync leaves it there, so the bytes are written again.
[[nodiscard]] base::file_status make_durable(const segment& last, base::position anchored,
                                             base::position end);

} // namespace immortal::eventlog
