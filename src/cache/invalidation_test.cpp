#include "base/random.hpp"
#include "cache/invalidation.hpp"

#include <gtest/gtest.h>

namespace immortal::cache {
namespace {

TEST(invalidation, gives_back_what_it_was_given) {
    invalidation told{"abc", invalidation::kind::changed, {}};
    told.add(keys::player({}), {17});
    told.add(keys::item_market("a b:c"), {18});
    const auto back = decode_invalidation(encode(told));
    ASSERT_TRUE(back);
    EXPECT_EQ("abc", back->sender);
    EXPECT_EQ(invalidation::kind::changed, back->what);
    ASSERT_EQ(2u, back->items.size());
    EXPECT_EQ("market:item:a b:c", back->items[1].key_text);
    EXPECT_EQ(18u, back->items[1].position.value);
    EXPECT_EQ(classes::market_data.index, back->items[1].class_index);
}

TEST(invalidation, a_line_break_in_a_key_clears_everything) {
    invalidation told{"abc", invalidation::kind::changed, {}};
    told.add(keys::item_market("a\n0 1 player:x"), {18});
    EXPECT_EQ(invalidation::kind::clear, decode_invalidation(encode(told))->what);
}

TEST(invalidation, refuses_what_it_does_not_know) {
    for (const char* text :
         {"", "abc", "abc what", " clear", "abc changed\n", "abc changed\n1", "abc changed\n99 1 k",
          "abc changed\n-1 1 k", "abc changed\n1 x k", "abc changed\n1 1 "}) {
        const auto read = decode_invalidation(text);
        EXPECT_TRUE(!read || read->items.empty()) << text;
    }
    EXPECT_FALSE(decode_invalidation("abc changed\n99 1 k"));
}

TEST(invalidation, survives_random_bytes) {
    base::seeded_random random(3);
    for (int i = 0; i < 2'000; ++i) {
        std::string text(random.next() % 60, '\0');
        random.fill({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
        static_cast<void>(decode_invalidation("s changed\n" + text));
        static_cast<void>(decode_invalidation(text));
    }
}

} // namespace
} // namespace immortal::cache
