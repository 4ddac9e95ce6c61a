// Player names: what is allowed, and the stream that reserves one.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace immortal::commands {

constexpr std::size_t name_size_max = 24;   // visible characters
constexpr std::size_t name_input_max = 512; // bytes, before normalisation

// NFKC, runs of white space as one space, none at the ends. Errors: invalid_argument (field
// "name"): not UTF-8, not 1 to 24 visible characters (a letter with its marks is one), control,
// format or unassigned characters.
[[nodiscard]] base::result<std::string> normalise_name(std::string_view name);

constexpr std::string_view name_stream_prefix = "player_name-";

// "player_name-<32 hexadecimal digits>": the keyed hash of the NFKC case-folded name, so names that
// differ in case or width only share it, and the log holds no name in a stream's name.
// `key`: 16 to 64 bytes.
[[nodiscard]] std::string name_stream(std::string_view normalised_name, std::string_view key);

} // namespace immortal::commands
