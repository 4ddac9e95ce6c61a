// A look at the index when a log is opened.
#pragma once

#include "eventlog/index.hpp"
#include "eventlog/log_reader.hpp"

#include <optional>
#include <string>

namespace immortal::eventlog {

// Whether each list that the last event before `place` belongs to ends with it, up to there: one
// record and a few looks, whatever the length of the log. Of other lists it says nothing. The text
// says what is missing; empty: nothing was found, or it cannot be found out now. Precondition:
// `place` is durable, and the index claims to hold what stands before it. `correlations`: the index
// holds those too. Blocks on the file system.
[[nodiscard]] std::optional<std::string> missing_entry(log_index& index, const log_reader& reader,
                                                       const log_place& place, base::position end,
                                                       bool correlations);

} // namespace immortal::eventlog
