#include "esdb/group_memory.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace immortal::esdb {
namespace {

constexpr std::size_t kib = 1024;

TEST(group_memory_test, who_comes_first_gets_three_quarters) {
    group_memory memory(400 * kib);
    group_memory::share one(memory, [] {});
    EXPECT_EQ(one.room(), 300 * kib);
    one.hold(299 * kib);
    EXPECT_EQ(one.room(), kib);
    one.hold(300 * kib);
    EXPECT_EQ(one.room(), 0u);
    EXPECT_EQ(memory.held(), 300 * kib);
}

TEST(group_memory_test, the_last_quarter_is_shared_evenly) {
    group_memory memory(400 * kib);
    group_memory::share greedy(memory, [] {});
    greedy.hold(300 * kib);
    group_memory::share two(memory, [] {});
    group_memory::share three(memory, [] {});
    group_memory::share four(memory, [] {});
    EXPECT_EQ(greedy.room(), 0u);
    EXPECT_EQ(two.room(), 25 * kib);
    two.hold(25 * kib);
    EXPECT_EQ(two.room(), 0u);
    EXPECT_EQ(three.room(), 25 * kib) << "whatever the others hold";
}

TEST(group_memory_test, an_empty_group_may_always_take_one_event) {
    group_memory memory(0);
    group_memory::share one(memory, [] {});
    EXPECT_EQ(one.room(), 1u);
    one.hold(5000);
    EXPECT_EQ(one.room(), 0u);
}

TEST(group_memory_test, who_waits_is_woken_in_turn_when_there_is_room) {
    group_memory memory(400 * kib);
    std::vector<int> woken;
    group_memory::share greedy(memory, [] {});
    group_memory::share two(memory, [&] { woken.push_back(2); });
    group_memory::share three(memory, [&] { woken.push_back(3); });
    greedy.hold(300 * kib);
    two.hold(34 * kib);
    three.hold(34 * kib);
    EXPECT_EQ(two.room(), 0u);
    EXPECT_EQ(three.room(), 0u);
    EXPECT_EQ(two.room(), 0u) << "once in the queue";
    greedy.hold(290 * kib);
    EXPECT_TRUE(woken.empty()) << "still too much";
    greedy.hold(200 * kib);
    EXPECT_EQ(woken, (std::vector<int>{2, 3}));
    greedy.hold(100 * kib);
    EXPECT_EQ(woken.size(), 2u) << "nobody waits";
}

TEST(group_memory_test, a_group_that_ends_gives_back_what_it_held) {
    group_memory memory(400 * kib);
    int woken = 0;
    group_memory::share one(memory, [&] { ++woken; });
    {
        group_memory::share two(memory, [] {});
        two.hold(300 * kib);
        one.hold(50 * kib);
        EXPECT_EQ(one.room(), 0u);
        group_memory::share three(memory, [] { FAIL() << "it is gone"; });
        three.hold(50 * kib);
        EXPECT_EQ(three.room(), 0u);
    }
    EXPECT_GE(woken, 1);
    EXPECT_EQ(memory.held(), 50 * kib);
    EXPECT_GT(one.room(), 0u);
}

TEST(group_memory_test, a_group_that_ends_leaves_the_others_a_larger_part) {
    group_memory memory(400 * kib);
    std::vector<int> woken;
    group_memory::share greedy(memory, [] {});
    group_memory::share two(memory, [&] { woken.push_back(2); });
    group_memory::share three(memory, [&] { woken.push_back(3); });
    greedy.hold(300 * kib);
    {
        const group_memory::share idle(memory, [] {});
        two.hold(60 * kib);
        three.hold(30 * kib);
        EXPECT_EQ(two.room(), 0u);
        EXPECT_EQ(three.room(), 0u);
    }
    EXPECT_EQ(woken, (std::vector<int>{3})) << "whoever is before it without room";
    EXPECT_EQ(two.room(), 0u);
    two.hold(33 * kib);
    EXPECT_EQ(woken, (std::vector<int>{3, 2}));
}

// Stuck groups beside some that answer, with events of any size: the bound holds but for one event
// of each group that held nothing, and those that answer go on for ever.
TEST(group_memory_test, many_groups_stay_within_the_bound_and_go_on) {
    constexpr std::size_t event_max = 8 * kib;
    constexpr std::size_t groups = 200;
    std::mt19937_64 random(3);
    base::metrics metrics;
    group_memory memory(1024 * kib, &metrics);
    struct member {
        std::unique_ptr<group_memory::share> share;
        std::vector<std::size_t> held;
        std::size_t taken = 0;
    };
    std::vector<member> members(groups);
    for (member& one : members) {
        one.share = std::make_unique<group_memory::share>(memory, [] {});
    }
    const auto total = [](const member& one) {
        std::size_t out = 0;
        for (const std::size_t size : one.held) {
            out += size;
        }
        return out;
    };
    for (int round = 0; round < 300; ++round) {
        for (std::size_t i = 0; i < groups; ++i) {
            member& one = members[i];
            if (i % 2 == 0) { // its consumers answer
                one.held.clear();
                one.share->hold(0);
            }
            const std::size_t size = 1 + random() % event_max;
            if (one.share->room() > 0) {
                one.held.push_back(size);
                one.share->hold(total(one));
                ++one.taken;
            }
            ASSERT_LE(memory.held(), 1024 * kib + groups * event_max);
        }
    }
    for (std::size_t i = 0; i < groups; i += 2) {
        EXPECT_EQ(members[i].taken, 300u) << i;
    }
    EXPECT_NE(metrics.text().find("immortal_esdb_group_events_bytes"), std::string::npos);
    EXPECT_EQ(metrics.text().find("immortal_esdb_group_memory_waits_total 0\n"), std::string::npos);
}

} // namespace
} // namespace immortal::esdb
