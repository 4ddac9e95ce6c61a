// Characters by their Unicode properties, for rules about names. ICU's data decides, no ranges of
// our own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::base {

enum class character_kind : std::uint8_t {
    letter,    // of any script; ideographs, kana, hangul and iteration marks (々) are letters
    mark,      // stands on the character before it, or selects a variant of it
    number,    // digits, also Roman and Chinese ones
    space,     // what separates words; not tabs and line ends
    other,     // visible: punctuation, symbols, emoji
    invisible, // control and format characters, fillers, private use, not assigned
};
[[nodiscard]] character_kind kind_of(char32_t c) noexcept;

// Takes one code point from the front of `text` (not empty); empty for bytes that are not UTF-8
// (overlong forms and surrogates included).
[[nodiscard]] std::optional<char32_t> take_code_point(std::string_view& text) noexcept;

// Empty: the text is not UTF-8.
[[nodiscard]] std::optional<std::size_t> count_code_points(std::string_view text) noexcept;

// Whether the text is written as names are compared: compatibility forms replaced (NFKC) and
// letters folded to small ones, so that two such texts differ only if their characters do. ASCII
// letters and ideographs (compatibility ideographs too) stand for themselves. Precondition: it is
// UTF-8.
[[nodiscard]] bool is_folded_but_ascii(std::string_view text);

} // namespace immortal::base
