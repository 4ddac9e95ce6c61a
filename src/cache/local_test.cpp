#include "base/random.hpp"
#include "cache/local_level.hpp"
#include "cache/local_shard.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace immortal::cache {
namespace {

using std::chrono::seconds;

const base::steady_time zero{};
const base::steady_time far = zero + std::chrono::hours(1);

std::shared_ptr<const entry> value(std::uint64_t position, std::string payload = "{}") {
    return std::make_shared<const entry>(entry{{position}, {position}, false, std::move(payload)});
}

struct shard_fixture {
    explicit shard_fixture(eviction policy, std::size_t entries = 3, std::size_t bytes = 1 << 20)
        : shard(local_limits{policy, entries, bytes}) {}
    void put(const std::string& key, base::steady_time expires = far) {
        shard.put(key, value(1), zero, expires);
    }
    void use(const std::string& key, int times = 1) {
        for (int i = 0; i < times; ++i) {
            static_cast<void>(shard.find(key, zero));
        }
    }
    bool has(const std::string& key) { return shard.find(key, zero).has_value(); }
    local_shard shard;
};

TEST(local_shard, lru_gives_up_the_least_recently_used) {
    shard_fixture f(eviction::lru);
    f.put("a");
    f.put("b");
    f.put("c");
    f.use("a");
    f.put("d");
    EXPECT_TRUE(f.has("a"));
    EXPECT_FALSE(f.has("b"));
    EXPECT_TRUE(f.has("c"));
}

TEST(local_shard, lru_equals_a_naive_model) {
    base::seeded_random random(5);
    local_shard shard({eviction::lru, 8, 1 << 20});
    std::vector<std::string> order; // newest use last
    for (int i = 0; i < 20'000; ++i) {
        const std::string key = std::to_string(random.next() % 16);
        const auto at = std::ranges::find(order, key);
        if (random.next() % 2 == 0) {
            ASSERT_EQ(at != order.end(), shard.find(key, zero).has_value());
            if (at != order.end()) {
                std::rotate(at, at + 1, order.end());
            }
        } else {
            ASSERT_TRUE(shard.put(key, value(1), zero, far));
            if (at != order.end()) {
                order.erase(at);
            }
            order.push_back(key);
            if (order.size() > 8) {
                order.erase(order.begin());
            }
        }
        ASSERT_EQ(order.size(), shard.entries());
    }
}

TEST(local_shard, lfu_keeps_what_is_used_often) {
    shard_fixture f(eviction::lfu);
    f.put("often");
    f.use("often", 20);
    f.put("b");
    f.use("b", 2);
    for (int i = 0; i < 50; ++i) {
        f.put("scan" + std::to_string(i));
    }
    EXPECT_TRUE(f.has("often"));
    EXPECT_TRUE(f.has("b"));
    EXPECT_TRUE(f.has("scan49"));
    EXPECT_FALSE(f.has("scan48"));
}

TEST(local_shard, lfu_forgets_old_popularity) {
    shard_fixture f(eviction::lfu, 2);
    f.put("old");
    f.use("old", 31);
    f.put("new");
    f.use("new", 200); // counts are halved every 32 uses
    f.put("newer");
    f.use("newer", 300);
    f.put("last");
    EXPECT_FALSE(f.has("old"));
}

TEST(local_shard, ttl_gives_up_what_expires_first) {
    shard_fixture f(eviction::ttl);
    f.put("late", zero + seconds(9));
    f.put("soon", zero + seconds(1));
    f.put("mid", zero + seconds(5));
    f.use("soon", 10);
    f.put("x", zero + seconds(7));
    EXPECT_FALSE(f.has("soon"));
    EXPECT_TRUE(f.has("mid"));
    EXPECT_TRUE(f.has("late"));
}

TEST(local_shard, is_bounded_by_bytes) {
    for (const eviction policy : {eviction::lru, eviction::lfu, eviction::ttl}) {
        local_shard shard({policy, 1'000, 10'000});
        for (int i = 0; i < 200; ++i) {
            shard.put(std::to_string(i), value(1, std::string(500, 'x')), zero, far);
            ASSERT_LE(shard.bytes(), 10'000u);
        }
        EXPECT_GT(shard.entries(), 10u);
        EXPECT_FALSE(shard.put("huge", value(1, std::string(20'000, 'x')), zero, far));
        shard.clear();
        EXPECT_EQ(0u, shard.bytes());
    }
}

TEST(local_shard, never_goes_back_and_expires) {
    local_shard shard({eviction::lru, 8, 1 << 20});
    EXPECT_TRUE(shard.put("k", value(5), zero, zero + seconds(1)));
    EXPECT_FALSE(shard.put("k", value(4), zero, far));
    EXPECT_EQ(5u, shard.find("k", zero)->value->position.value);
    EXPECT_FALSE(shard.find("k", zero + seconds(1)));
    EXPECT_EQ(0u, shard.entries());
}

struct level_fixture {
    explicit level_fixture(bool always = false)
        : level(clock, std::chrono::milliseconds(1000), always) {}
    base::manual_clock clock{base::utc_time{}};
    local_level level;
    key where = keys::player(base::uuid{});
    entry v5{{5}, {5}, false, "5"};
    entry v6{{6}, {6}, false, "6"};
};

TEST(local_level, ages_one_second_unless_confirmed) {
    level_fixture f;
    f.level.freshen(f.where, f.v5);
    f.clock.advance(seconds(1));
    EXPECT_TRUE(f.level.find(f.where, {}));
    f.clock.advance(std::chrono::milliseconds(1));
    EXPECT_FALSE(f.level.find(f.where, {}));
    f.level.confirm_until(f.clock.steady_now() + seconds(1));
    EXPECT_TRUE(f.level.find(f.where, {}));
    f.clock.advance(seconds(2));
    EXPECT_FALSE(f.level.find(f.where, {}));
}

TEST(local_level, lives_its_time_when_nothing_can_be_missed) {
    level_fixture f(true);
    f.level.freshen(f.where, f.v5);
    f.clock.advance(seconds(59));
    EXPECT_TRUE(f.level.find(f.where, {}));
    f.clock.advance(seconds(1));
    EXPECT_FALSE(f.level.find(f.where, {}));
}

TEST(local_level, is_bounded_by_the_setting_too) {
    base::manual_clock clock{base::utc_time{}};
    base::seeded_random random(9);
    local_level level(clock, seconds(1), true, 100);
    for (int i = 0; i < 500; ++i) {
        level.freshen(keys::player(base::uuid::make_random(random)), entry{{1}, {1}, false, "x"});
    }
    EXPECT_EQ(100u, level.used().entries);
    EXPECT_EQ(400u, level.used().evictions);
}

TEST(local_level, absence_lives_shorter) {
    level_fixture f(true);
    f.level.freshen(f.where, {{5}, {5}, true, {}});
    f.clock.advance(classes::player_data.negative_ttl);
    EXPECT_FALSE(f.level.find(f.where, {}));
}

TEST(local_level, a_ticket_is_void_once_somebody_freshened) {
    level_fixture f(true);
    const auto ticket = f.level.take_ticket(f.where);
    f.level.freshen(f.where, f.v6);
    f.level.forget(f.where.what().index, f.where.text()); // as if evicted
    EXPECT_FALSE(f.level.fill(f.where, f.v5, ticket));
    EXPECT_FALSE(f.level.find(f.where, {}));
    EXPECT_TRUE(f.level.fill(f.where, f.v6, f.level.take_ticket(f.where)));
}

TEST(local_level, a_ticket_is_void_once_invalidated_or_cleared) {
    level_fixture f(true);
    auto ticket = f.level.take_ticket(f.where);
    f.level.invalidate(f.where.what().index, f.where.text(), {6});
    EXPECT_FALSE(f.level.fill(f.where, f.v5, ticket));
    ticket = f.level.take_ticket(f.where);
    f.level.clear();
    EXPECT_FALSE(f.level.fill(f.where, f.v6, ticket));
}

TEST(local_level, invalidation_leaves_what_is_new_enough) {
    level_fixture f(true);
    f.level.freshen(f.where, f.v6);
    f.level.invalidate(f.where.what().index, f.where.text(), {6});
    EXPECT_TRUE(f.level.find(f.where, {}));
    f.level.invalidate(f.where.what().index, f.where.text(), {7});
    EXPECT_FALSE(f.level.find(f.where, {}));
}

TEST(local_level, many_threads_never_see_a_key_go_back) {
    level_fixture f(true);
    std::atomic<std::uint64_t> next{1};
    std::atomic<int> backwards{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            std::uint64_t seen = 0;
            for (int i = 0; i < 5'000; ++i) {
                const auto ticket = f.level.take_ticket(f.where);
                const std::uint64_t p = next.fetch_add(1);
                const entry made{{p}, {p}, false, "x"};
                if (t % 2 == 0) {
                    f.level.freshen(f.where, made);
                } else {
                    f.level.fill(f.where, made, ticket);
                }
                if (const auto now = f.level.find(f.where, {})) {
                    backwards += now->position.value < seen ? 1 : 0;
                    seen = now->position.value;
                }
            }
        });
    }
    threads.clear();
    EXPECT_EQ(0, backwards);
}

} // namespace
} // namespace immortal::cache
