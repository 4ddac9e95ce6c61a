#include "base/unicode.hpp"

#include <gtest/gtest.h>

namespace immortal::base {
namespace {

TEST(unicode, characters_by_property) {
    using enum character_kind;
    for (const char32_t c : {U'a', U'Z', U'é', U'я', U'λ', U'李', U'々', U'ー', U'ユ', U'ん', U'한',
                             U'\u3400', U'\U00020000', U'ʰ'}) {
        EXPECT_EQ(kind_of(c), letter) << static_cast<std::uint32_t>(c);
    }
    for (const char32_t c : {U'0', U'９', U'〇', U'Ⅷ', U'²'}) {
        EXPECT_EQ(kind_of(c), number) << static_cast<std::uint32_t>(c);
    }
    EXPECT_EQ(kind_of(U'\u0301'), mark);
    EXPECT_EQ(kind_of(U'\u3099'), mark);
    EXPECT_EQ(kind_of(U'\ufe0f'), mark);
    EXPECT_EQ(kind_of(U' '), space);
    EXPECT_EQ(kind_of(U'\u3000'), space);
    for (const char32_t c : {U'_', U'・', U'!', U'😀', U'￥'}) {
        EXPECT_EQ(kind_of(c), other) << static_cast<std::uint32_t>(c);
    }
    for (const char32_t c : {U'\t', U'\u200b', U'\u202e', U'\u3164', U'\ue000', char32_t{0x0378},
                             char32_t{0xd800}, char32_t{0x110000}}) {
        EXPECT_EQ(kind_of(c), invisible) << static_cast<std::uint32_t>(c);
    }
}

TEST(unicode, code_points_are_counted) {
    EXPECT_EQ(count_code_points(""), 0u);
    EXPECT_EQ(count_code_points("a李😀"), 3u);
    for (const std::string_view bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe6\x9d", "a\x80"}) {
        EXPECT_FALSE(count_code_points(bad)) << bad.size();
    }
}

TEST(unicode, what_is_folded) {
    for (const char* text : {"", "Abc", "佐々木", "ユーザー", "ünal", "홍길동", "иван",
                             "\xf0\xaf\xa0\x80" /* a compatibility ideograph */}) {
        EXPECT_TRUE(is_folded_but_ascii(text)) << text;
    }
    for (const char* text :
         {"Ünal", "Иван", "ａｂｃ", "ﾕｰｻﾞｰ", "straße", "e\u0301", "か\u3099", "Ⅷ", "²"}) {
        EXPECT_FALSE(is_folded_but_ascii(text)) << text;
    }
}

} // namespace
} // namespace immortal::base
