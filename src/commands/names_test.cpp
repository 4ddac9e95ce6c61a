#include "commands/names.hpp"

#include <gtest/gtest.h>

namespace immortal::commands {
namespace {

constexpr std::string_view key = "0123456789abcdef";

std::string normal(std::string_view name) {
    return normalise_name(name).value_or("(refused)");
}

TEST(names, are_normalised) {
    EXPECT_EQ(normal("韩立"), "韩立");
    EXPECT_EQ(normal("Ｈａｎ　Ｌｉ"), "Han Li");
    EXPECT_EQ(normal("  Han \t Li  "), "(refused)"); // a tab is a control character
    EXPECT_EQ(normal("  Han   Li  "), "Han Li");
    EXPECT_EQ(normal("e\xCC\x81"), "\xC3\xA9"); // e with an acute accent
    EXPECT_EQ(normal("abcdefghijklmnopqrstuvwx"), "abcdefghijklmnopqrstuvwx");
    for (const char* name : {"❤\xEF\xB8\x8F", "佐々木", "ユーザー", "李花", "韩立"}) {
        EXPECT_EQ(normal(name), name);
    }
}

TEST(names, must_be_visible_and_short) {
    for (const std::string_view name :
         {std::string_view(""), std::string_view(" "),
          std::string_view("abcdefghijklmnopqrstuvwxy"), std::string_view("a\nb"),
          std::string_view("a\0b", 3), std::string_view("\xFF\xFE"),
          std::string_view("\xE2\x80\x8B"), // zero width space
          std::string_view("a\xE2\x80\xAE"
                           "b"),               // right-to-left override
          std::string_view("\xE3\x85\xA4"),    // Hangul filler: nothing to see
          std::string_view("\xCC\x81"),        // a mark without a letter
          std::string_view("\xEE\x80\x80")}) { // private use
        const auto out = normalise_name(name);
        ASSERT_FALSE(out.has_value()) << name;
        EXPECT_EQ(out.error().code, base::errc::invalid_argument);
        EXPECT_EQ(out.error().field, "name");
    }
    EXPECT_EQ(normal(std::string(600, 'a')), "(refused)");
    std::string zalgo = "a";
    for (int i = 0; i < 40; ++i) {
        zalgo += "\xCC\xB6";
    }
    EXPECT_EQ(normal(zalgo), "(refused)");
}

TEST(names, of_one_spelling_share_a_stream) {
    const std::string stream = name_stream(normal("Han Li"), key);
    EXPECT_EQ(stream.size(), std::string("player_name-").size() + 32);
    EXPECT_EQ(name_stream(normal("HAN LI"), key), stream);
    EXPECT_EQ(name_stream(normal("ｈａｎ ｌｉ"), key), stream);
    EXPECT_NE(name_stream(normal("HanLi"), key), stream);
    EXPECT_NE(name_stream(normal("Han Li"), "another key of 16"), stream);
    EXPECT_EQ(stream.find("Han"), std::string::npos);
}

} // namespace
} // namespace immortal::commands
