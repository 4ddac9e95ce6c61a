// A response to bytes: status line, fixed and security headers, body, in one buffer.
#pragma once

#include "api/message.hpp"

#include <string>
#include <string_view>

namespace immortal::api {

enum class body_part : std::uint8_t { sent, left_out }; // left_out: the answer to HEAD

// Appends the whole message to `out`. Content-Length is always that of `answer.body`, except for
// 204 and 304, which have none.
void append_response(std::string& out, const response& answer, std::string_view request_id,
                     body_part part);

// A problem document for what goes wrong before there is a route: framing, limits, timeouts.
[[nodiscard]] response plain_problem(unsigned status, std::string_view code,
                                     std::string_view detail, std::string_view request_id);

} // namespace immortal::api
