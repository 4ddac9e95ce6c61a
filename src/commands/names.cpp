#include "commands/names.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "base/unicode.hpp"

#include <span>
#include <unicode/normalizer2.h>
#include <unicode/unistr.h>

namespace immortal::commands {

namespace {

std::unexpected<base::error> refuse(std::string why) {
    return base::fail(base::errc::invalid_argument, std::move(why), {}, "name");
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

} // namespace

base::result<std::string> normalise_name(std::string_view name) {
    if (name.size() > name_input_max || !base::count_code_points(name)) {
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
        const base::character_kind kind = base::kind_of(static_cast<char32_t>(c));
        if (kind == base::character_kind::invisible) {
            return refuse("A name has no control or invisible characters.");
        }
        if (kind == base::character_kind::space) {
            space = true;
            continue;
        }
        if (kind == base::character_kind::mark &&
            (visible == 0 || space || ++marks > name_size_max)) {
            return refuse("A name has marks on its letters only, and not more than letters.");
        }
        if (space && visible > 0) {
            out.append(UChar32{0x20});
            ++visible;
        }
        space = false;
        visible += kind == base::character_kind::mark ? 0 : 1;
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
    return std::string(name_stream_prefix) + base::hex(std::span(digest).first(16));
}

} // namespace immortal::commands
