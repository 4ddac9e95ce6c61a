#include "base/random.hpp"
#include "base/uuid.hpp"

#include <gtest/gtest.h>

namespace immortal::base {
namespace {

TEST(uuid, text_round_trips) {
    const auto id = uuid::parse("00112233-4455-6677-8899-AABBCCDDEEFF");
    ASSERT_TRUE(id);
    EXPECT_EQ(id->text(), "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(uuid, refuses_other_texts) {
    for (const char* text :
         {"", "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeef",
          "00112233-4455-6677-8899-aabbccddeefg", "{0112233-4455-6677-8899-aabbccddeeff}"}) {
        EXPECT_FALSE(uuid::parse(text)) << text;
    }
}

TEST(uuid, versions_and_variant) {
    seeded_random random(1);
    EXPECT_EQ(uuid::make_random(random).text()[14], '4');
    EXPECT_EQ(uuid::make_derived("a", "b").text()[14], '8');
}

TEST(uuid, derived_ids_depend_on_both_parts_and_their_border) {
    EXPECT_EQ(uuid::make_derived("a", "b"), uuid::make_derived("a", "b"));
    EXPECT_NE(uuid::make_derived("a", "b"), uuid::make_derived("b", "a"));
    EXPECT_NE(uuid::make_derived("ab", "c"), uuid::make_derived("a", "bc"));
}

} // namespace
} // namespace immortal::base
