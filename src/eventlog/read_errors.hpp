// What a reader of the log answers when the disk or the bytes are not right.
#pragma once

#include "base/log.hpp"
#include "eventlog/segment.hpp"

#include <fmt/format.h>

namespace immortal::eventlog {

// Logged with its cause. errc::unavailable.
[[nodiscard]] inline std::unexpected<base::error> read_failed(const base::file_error& problem) {
    base::log_error("eventlog", "a read failed", {{"cause", problem.text}});
    return problem.what == base::file_error::kind::too_many_open
               ? base::fail(base::to_error(problem))
               : base::fail(base::errc::unavailable, "the log could not be read", "io_error");
}

// Logged with its place. errc::corrupt.
[[nodiscard]] inline std::unexpected<base::error> damaged_at(const segment& in,
                                                             base::position place) {
    std::string message = fmt::format("{} is damaged at offset {}", in.name(), in.offset_of(place));
    base::log_error("eventlog", message, {{"position", place.value}});
    return base::fail(base::errc::corrupt, std::move(message));
}

} // namespace immortal::eventlog
