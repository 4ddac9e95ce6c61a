#include "commands/names.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"

#include <span>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/ustring.h>

namespace immortal::commands {

namespace {

std::unexpected<base::error> refuse(std::string why) {
    return base::fail(base::errc::invalid_argument, std::move(why), {}, "name");
}

bool is_utf8(std::string_view text) {
    UErrorCode status = U_ZERO_ERROR;
    std::int32_t length = 0;
    u_strFromUTF8(nullptr, 0, &length, text.data(), static_cast<std::int32_t>(text.size()),
                  &status);
    return status == U_BUFFER_OVERFLOW_ERROR || U_SUCCESS(status);
}

icu::UnicodeString normalised(const icu::Normalizer2* (*form)(UErrorCode&),
                              const icu::UnicodeString& in) {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* normalizer = form(status);
    IMMORTAL_ASSERT(U_SUCCESS(status)); // the data is part of the library
    icu::UnicodeString out = normalizer->normalize(in, status);
    IMMORTAL_ASSERT(U_SUCCESS(status));
    return out;
}

enum class character { visible, mark, space, forbidden };

character kind_of(UChar32 c) {
    switch (u_charType(c)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_COMBINING_SPACING_MARK:
        return character::mark;
    case U_SPACE_SEPARATOR:
        return character::space;
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_SURROGATE:
    case U_PRIVATE_USE_CHAR:
    case U_UNASSIGNED:
        return character::forbidden;
    default:
        // Fillers count as letters but show nothing.
        return u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) ? character::forbidden
                                                                          : character::visible;
    }
}

} // namespace

base::result<std::string> normalise_name(std::string_view name) {
    if (name.size() > name_input_max || !is_utf8(name)) {
        return refuse("A name is UTF-8 text of 1 to 24 visible characters.");
    }
    const icu::UnicodeString in = normalised(
        &icu::Normalizer2::getNFKCInstance,
        icu::UnicodeString::fromUTF8({name.data(), static_cast<std::int32_t>(name.size())}));
    icu::UnicodeString out;
    std::size_t visible = 0;
    std::size_t marks = 0;
    bool space = false;
    for (std::int32_t i = 0; i < in.length(); i = in.moveIndex32(i, 1)) {
        const UChar32 c = in.char32At(i);
        const character kind = kind_of(c);
        if (kind == character::forbidden) {
            return refuse("A name has no control or invisible characters.");
        }
        if (kind == character::space) {
            space = true;
            continue;
        }
        if (kind == character::mark && (visible == 0 || space || ++marks > name_size_max)) {
            return refuse("A name has marks on its letters only, and not more than letters.");
        }
        if (space && visible > 0) {
            out.append(UChar32{0x20});
            ++visible;
        }
        space = false;
        visible += kind == character::visible ? 1 : 0;
        out.append(c);
    }
    if (visible < 1 || visible > name_size_max) {
        return refuse("A name has 1 to 24 visible characters.");
    }
    std::string text;
    out.toUTF8String(text);
    return text;
}

std::string name_stream(std::string_view normalised_name, std::string_view key) {
    const icu::UnicodeString folded = normalised(
        &icu::Normalizer2::getNFKCCasefoldInstance,
        icu::UnicodeString::fromUTF8(
            {normalised_name.data(), static_cast<std::int32_t>(normalised_name.size())}));
    std::string text;
    folded.toUTF8String(text);
    const base::digest256 digest = base::blake2b(text, key);
    return "player_name-" + base::hex(std::span(digest).first(16));
}

} // namespace immortal::commands
