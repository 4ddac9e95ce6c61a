// What an append that may be written puts into its frame: deletes become events, and what is
// written to a soft-deleted stream undeletes it. Pure; shared by the log's writer and the memory
// store.
//
//   soft delete of s      `$metadata` {"$tb":9223372036854775807} in `$$s`
//   tombstone of s        `$streamDeleted` in s, with revision tombstone_revision
//   events to soft-deleted s
//                         the events, their numbers go on; then `$metadata` in `$$s`: what it was,
//                         with `$tb` = the number of the first of them
//   metadata of soft-deleted s, that does not delete it again
//                         the event; then the same in `$$s` with `$tb` = the number that comes next
#pragma once

#include "eventlog/append_decision.hpp"

namespace immortal::eventlog {

struct append_plan {
    std::vector<base::revision> first; // of each write's first event
    // `position` is that of the event below, which the caller learns when it writes.
    append_outcome outcome;
    std::size_t outcome_write = 0;
    std::size_t outcome_event = 0;
};

// Changes `writes` to what the frame holds; writes may be added at its end. `facts[i]` describes
// the stream of `writes[i]` and is not valid any more afterwards. Precondition: decide_append said
// `write`. Errors: those of `facts`; `writes` is then of no more use.
[[nodiscard]] base::result<append_plan> plan_append(std::vector<stream_write>& writes,
                                                    std::span<stream_facts* const> facts);

} // namespace immortal::eventlog
