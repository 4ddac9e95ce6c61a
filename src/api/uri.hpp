// Paths and queries: percent-decoding without surprises.
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace immortal::api {

constexpr std::size_t path_segments_max = 8;
constexpr std::size_t query_parameters_max = 16;

// Undoes percent-encoding. Empty result: a broken escape, or one that stands for a control
// character.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

// The segments of "/a/b" are "a", "b"; of "/" none. Still encoded; views into `path`.
struct path_segments {
    std::array<std::string_view, path_segments_max> at;
    std::size_t count = 0;
};
// Empty result: not a path this server could know (no leading slash, an empty segment, too many).
[[nodiscard]] std::optional<path_segments> split_path(std::string_view path);

// Decoded names and values in the order given; '+' is a plus sign. "a" without '=' has an empty
// value. Errors (invalid_argument, `field`): a broken escape, a name given twice, too many.
using query_parameters = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] base::result<query_parameters> parse_query(std::string_view query);

} // namespace immortal::api
