// Finds a key that an object of a JSON text names twice: whose value such a text means is a guess.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace immortal::api {

// The first key, unescaped, that stands more than once in one object of `text`, at any depth; empty
// if there is none. Precondition: base::parse_json() takes the text.
[[nodiscard]] std::optional<std::string> repeated_key(std::string_view text);

} // namespace immortal::api
