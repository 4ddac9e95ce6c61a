#include "base/random.hpp"
#include "cache/entry.hpp"

#include <gtest/gtest.h>

namespace immortal::cache {
namespace {

const base::log_identity some_log{*base::uuid::parse("11111111-2222-4333-8444-555555555555"), 7};

std::string stored(std::string_view key, const entry& value, bool changed = false) {
    return "0123456789abcdef" + wire::encode(key, some_log, value, changed);
}

TEST(entry_codec, gives_back_what_it_was_given) {
    base::seeded_random random(1);
    for (int i = 0; i < 500; ++i) {
        const entry value{{random.next() >> 11},
                          {random.next() >> 11},
                          false,
                          base::random_hex(random, random.next() % 300)};
        const std::string bytes = stored("player:x", value);
        const auto back = wire::decode("player:x", bytes);
        ASSERT_TRUE(back);
        EXPECT_EQ(value, back->value);
        EXPECT_EQ(some_log, back->identity);
        EXPECT_EQ("0123456789abcdef", back->generation);
        EXPECT_FALSE(back->changed);
    }
}

TEST(entry_codec, keeps_absence_and_the_empty_payload_apart) {
    const entry nothing{{5}, {9}, true, {}};
    const entry empty{{5}, {9}, false, {}};
    EXPECT_TRUE(wire::decode("k", stored("k", nothing))->value.absent);
    EXPECT_FALSE(wire::decode("k", stored("k", empty))->value.absent);
}

TEST(entry_codec, a_mark_carries_no_payload) {
    const auto mark = wire::decode("k", stored("k", {{5}, {9}, false, "secret"}, true));
    ASSERT_TRUE(mark);
    EXPECT_TRUE(mark->changed);
    EXPECT_EQ("", mark->value.payload);
    EXPECT_EQ(5u, mark->value.position.value);
}

TEST(entry_codec, refuses_every_flipped_byte_and_every_cut) {
    const std::string bytes = stored("k", {{5}, {9}, false, R"({"level":3})"});
    for (std::size_t i = wire::check_at; i < bytes.size(); ++i) {
        std::string broken = bytes;
        broken[i] = static_cast<char>(broken[i] ^ 0x10);
        EXPECT_FALSE(wire::decode("k", broken)) << i;
        EXPECT_FALSE(wire::decode("k", bytes.substr(0, i))) << i;
    }
}

TEST(entry_codec, refuses_the_value_of_another_key) {
    EXPECT_FALSE(wire::decode("player:b", stored("player:a", {{5}, {9}, false, "{}"})));
}

TEST(entry, passes_by_position_or_as_of) {
    const entry value{{10}, {20}, false, "{}"};
    EXPECT_TRUE(passes(value, {}));
    EXPECT_TRUE(passes(value, base::position{20}));
    EXPECT_FALSE(passes(value, base::position{21}));
}

TEST(entry, supersedes_by_position_then_by_as_of) {
    const entry value{{10}, {20}, false, "{}"};
    EXPECT_TRUE(supersedes({{11}, {11}, false, ""}, value));
    EXPECT_FALSE(supersedes({{9}, {99}, false, ""}, value));
    EXPECT_TRUE(supersedes({{10}, {21}, false, ""}, value));
    EXPECT_FALSE(supersedes({{10}, {19}, false, ""}, value));
}

} // namespace
} // namespace immortal::cache
