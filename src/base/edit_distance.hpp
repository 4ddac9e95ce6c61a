// How far a word is from another: to name the one that was probably meant.
#pragma once

#include <cstddef>
#include <string_view>

namespace immortal::base {

// The fewest letters to insert, remove or replace that make one of the other (Levenshtein).
[[nodiscard]] std::size_t edit_distance(std::string_view word, std::string_view other);

} // namespace immortal::base
