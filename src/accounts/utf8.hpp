// Code points of UTF-8 text.
#pragma once

#include <optional>
#include <string_view>

namespace immortal::accounts {

// Takes one code point from the front of `text` (not empty); empty for bytes that are not UTF-8
// (overlong forms and surrogates included).
inline std::optional<char32_t> take_code_point(std::string_view& text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    const std::size_t size = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    if (size == 0 || text.size() < size) {
        return std::nullopt;
    }
    constexpr char32_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    char32_t value = first & masks[size];
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) {
            return std::nullopt;
        }
        value = (value << 6) | (byte(i) & 0x3fu);
    }
    const bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
    if (overlong || (value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff) {
        return std::nullopt;
    }
    text.remove_prefix(size);
    return value;
}

} // namespace immortal::accounts
