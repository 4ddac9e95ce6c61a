#include "esdb/group_memory.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace immortal::esdb {
namespace {

constexpr std::size_t kib = 1024;
using need = group_memory::need;

TEST(group_memory_test, who_comes_first_gets_three_quarters) {
    group_memory memory(400 * kib);
    group_memory::share one(memory, [] {});
    EXPECT_EQ(one.room(need::urgent), 300 * kib);
    one.hold(299 * kib);
    EXPECT_EQ(one.room(need::urgent), kib);
    one.hold(300 * kib);
    EXPECT_EQ(one.room(need::urgent), 0u);
    EXPECT_EQ(memory.held(), 300 * kib);
}

TEST(group_memory_test, the_last_quarter_is_shared_evenly) {
    group_memory memory(400 * kib);
    group_memory::share greedy(memory, [] {});
    greedy.hold(300 * kib);
    group_memory::share two(memory, [] {});
    group_memory::share three(memory, [] {});
    group_memory::share four(memory, [] {});
    EXPECT_EQ(greedy.room(need::urgent), 0u);
    EXPECT_EQ(two.room(need::urgent), 25 * kib);
    two.hold(25 * kib);
    EXPECT_EQ(two.room(need::urgent), 0u);
    EXPECT_EQ(three.room(need::urgent), 25 * kib) << "whatever the others hold";
}

TEST(group_memory_test, an_empty_group_may_take_one_event_below_the_bound) {
    group_memory memory(400 * kib);
    group_memory::share greedy(memory, [] {});
    greedy.hold(399 * kib);
    const std::vector<std::size_t> large{500 * kib, 1};
    group_memory::share one(memory, [] {});
    EXPECT_EQ(one.take(large, need::ahead), 0u);
    EXPECT_EQ(one.take(large, need::urgent), 1u);
    EXPECT_EQ(memory.held() + memory.reading(), 899 * kib);
    int woken = 0;
    group_memory::share two(memory, [&] { ++woken; });
    EXPECT_EQ(two.take(large, need::urgent), 0u) << "one event above the bound, of all groups";
    EXPECT_TRUE(greedy.asked_to_let_go());
    EXPECT_FALSE(two.asked_to_let_go());
    one.hold(0);
    EXPECT_EQ(woken, 1);
    EXPECT_EQ(two.take(large, need::urgent), 1u);
}

TEST(group_memory_test, who_reads_ahead_comes_after_the_urgent_ones) {
    group_memory memory(400 * kib);
    std::vector<char> woken;
    group_memory::share greedy(memory, [] {});
    group_memory::share ahead(memory, [&] { woken.push_back('a'); });
    group_memory::share urgent(memory, [&] { woken.push_back('u'); });
    greedy.hold(400 * kib);
    EXPECT_EQ(ahead.room(need::ahead), 0u);
    EXPECT_EQ(urgent.room(need::urgent), 0u);
    greedy.hold(380 * kib);
    EXPECT_EQ(woken, std::vector<char>{'u'});
    greedy.hold(100 * kib);
    EXPECT_EQ(woken, (std::vector<char>{'u', 'a'}));
    EXPECT_FALSE(greedy.asked_to_let_go()) << "nobody waits";
}

TEST(group_memory_test, who_cannot_give_any_more_asks_nobody_to_let_go) {
    group_memory memory(400 * kib);
    group_memory::share greedy(memory, [] {});
    group_memory::share one(memory, [] { FAIL() << "it waits no more"; });
    greedy.hold(400 * kib);
    EXPECT_EQ(one.room(need::urgent), 0u);
    EXPECT_TRUE(greedy.asked_to_let_go());
    one.not_urgent();
    EXPECT_FALSE(greedy.asked_to_let_go());
    greedy.hold(0);
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
    EXPECT_EQ(two.room(need::urgent), 0u);
    EXPECT_EQ(three.room(need::urgent), 0u);
    EXPECT_EQ(two.room(need::urgent), 0u) << "once in the queue";
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
        EXPECT_EQ(one.room(need::urgent), 0u);
        group_memory::share three(memory, [] { FAIL() << "it is gone"; });
        three.hold(50 * kib);
        EXPECT_EQ(three.room(need::urgent), 0u);
    }
    EXPECT_GE(woken, 1);
    EXPECT_EQ(memory.held(), 50 * kib);
    EXPECT_GT(one.room(need::urgent), 0u);
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
        EXPECT_EQ(two.room(need::urgent), 0u);
        EXPECT_EQ(three.room(need::urgent), 0u);
    }
    EXPECT_EQ(woken, (std::vector<int>{3})) << "whoever is before it without room";
    EXPECT_EQ(two.room(need::urgent), 0u);
    two.hold(33 * kib);
    EXPECT_EQ(woken, (std::vector<int>{3, 2}));
}

// Of every three groups one answers, one never answers, and one has no consumer; events of any
// size. However many they are, the bound holds but for one event, and those that answer go on for
// ever.
TEST(group_memory_test, many_groups_stay_within_the_bound_and_go_on) {
    constexpr std::size_t event_max = 100 * kib;
    constexpr std::size_t groups = 300;
    constexpr std::size_t bound = 1024 * kib;
    constexpr std::size_t kept = 500; // of a message that was let go
    constexpr int rounds = 300;
    std::mt19937_64 random(3);
    base::metrics metrics;
    group_memory memory(bound, &metrics);
    struct member {
        std::unique_ptr<group_memory::share> share;
        std::size_t held = 0;
        int taken = 0;
        int waited = 0;
        int waited_most = 0;
    };
    std::vector<member> members(groups);
    for (member& one : members) {
        one.share = std::make_unique<group_memory::share>(memory, [] {});
    }
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < groups; ++i) {
            member& one = members[i];
            const bool answers = i % 3 == 0;
            const bool consumed = i % 3 < 2;
            if (answers) {
                one.share->hold(one.held = 0);
            } else if (one.share->asked_to_let_go()) {
                one.share->hold(one.held = consumed && one.taken > 0 ? kept : 0);
            }
            if (i % 3 == 1 && one.taken > 0) {
                continue; // its only slot is taken
            }
            const std::size_t size = 1 + random() % event_max;
            if (one.share->take(std::span(&size, 1), consumed ? need::urgent : need::ahead) == 1) {
                one.share->hold(one.held += size);
                ++one.taken;
                one.waited = 0;
            } else {
                one.waited_most = std::max(one.waited_most, ++one.waited);
            }
            ASSERT_LT(memory.held(), bound + event_max);
        }
    }
    for (std::size_t i = 0; i < groups; ++i) {
        if (i % 3 < 2) {
            EXPECT_GT(members[i].taken, 0) << i;
        }
        if (i % 3 == 0) {
            EXPECT_GT(members[i].taken, rounds / 20) << i;
            EXPECT_LT(members[i].waited_most, rounds / 2) << i;
        }
    }
    EXPECT_NE(metrics.text().find("immortal_esdb_group_events_bytes"), std::string::npos);
    EXPECT_EQ(metrics.text().find("immortal_esdb_group_memory_waits_total 0\n"), std::string::npos);
}

} // namespace
} // namespace immortal::esdb
