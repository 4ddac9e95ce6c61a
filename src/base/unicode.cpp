#include "base/unicode.hpp"

#include "base/assert.hpp"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace immortal::base {

namespace {

character_kind kind_of_category(UChar32 c) noexcept {
    switch (u_charType(c)) {
    case U_UPPERCASE_LETTER:
    case U_LOWERCASE_LETTER:
    case U_TITLECASE_LETTER:
    case U_MODIFIER_LETTER:
    case U_OTHER_LETTER:
        return character_kind::letter;
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_COMBINING_SPACING_MARK:
        return character_kind::mark;
    case U_DECIMAL_DIGIT_NUMBER:
    case U_LETTER_NUMBER:
    case U_OTHER_NUMBER:
        return character_kind::number;
    case U_SPACE_SEPARATOR:
        return character_kind::space;
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_SURROGATE:
    case U_PRIVATE_USE_CHAR:
    case U_UNASSIGNED:
        return character_kind::invisible;
    default:
        return character_kind::other;
    }
}

} // namespace

character_kind kind_of(char32_t c) noexcept {
    const auto code = static_cast<UChar32>(c);
    const character_kind kind = kind_of_category(code);
    // Fillers count as letters but show nothing. Selectors of a variant are marks like others.
    return kind != character_kind::mark &&
                   u_hasBinaryProperty(code, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)
               ? character_kind::invisible
               : kind;
}

std::optional<char32_t> take_code_point(std::string_view& text) noexcept {
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

std::optional<std::size_t> count_code_points(std::string_view text) noexcept {
    std::size_t count = 0;
    while (!text.empty()) {
        if (!take_code_point(text)) {
            return std::nullopt;
        }
        ++count;
    }
    return count;
}

bool is_folded_but_ascii(std::string_view text) {
    icu::UnicodeString compared;
    while (!text.empty()) {
        const auto c = take_code_point(text);
        IMMORTAL_ASSERT(c.has_value());
        const auto code = static_cast<UChar32>(*c);
        if (*c < 0x80) {
            compared.append(u_tolower(code));
        } else if (!u_hasBinaryProperty(code, UCHAR_IDEOGRAPHIC)) {
            compared.append(code);
        } else {
            compared.append(UChar32{0x4e00}); // any one that folding leaves alone
        }
    }
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* form = icu::Normalizer2::getNFKCCasefoldInstance(status);
    IMMORTAL_ASSERT(U_SUCCESS(status)); // the data is part of the library
    const bool folded = form->isNormalized(compared, status);
    IMMORTAL_ASSERT(U_SUCCESS(status));
    return folded;
}

} // namespace immortal::base
