#include "base/patience_testing.hpp"
#include "runtime/deadline.hpp"
#include "runtime/key_locks.hpp"
#include "runtime/task_group.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

namespace immortal::runtime {
namespace {

using namespace std::chrono_literals;
using keys = std::vector<std::string>;

class key_lock : public testing::Test {
protected:
    key_lock() { engine_.start(); }

    key_locks::guard take(keys wanted) { return engine_.run(locks_.lock(wanted, 30s)).value(); }
    base::errc refusal(keys wanted, milliseconds limit) {
        const auto r = engine_.run(locks_.lock(wanted, limit));
        return r ? base::errc::internal : r.error().code;
    }
    void until_waiting(std::size_t count) {
        EXPECT_TRUE(base::comes_true([&] { return locks_.waiting() == count; }));
    }

    engine engine_;
    key_locks locks_{3};
};

TEST_F(key_lock, excludes_who_shares_a_key) {
    auto held = take({"a", "b"});
    EXPECT_EQ(refusal({"b", "c"}, 5ms), base::errc::timeout);
    auto other = take({"c"}); // the one that gave up stands in nobody's way
    held.release();
    auto now = take({"b", "a", "b"});
    EXPECT_TRUE(now);
}

TEST_F(key_lock, leaves_nothing_behind) {
    {
        auto held = take({"a", "b"});
    }
    EXPECT_EQ(refusal({}, 5ms), base::errc::internal); // no keys: granted
    EXPECT_EQ(locks_.keys_held(), 0u);
    EXPECT_EQ(locks_.waiting(), 0u);
}

TEST_F(key_lock, serves_in_order) {
    auto held = take({"a"});
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] {
            const auto mine = take({"a", "x" + std::to_string(i)});
            const std::lock_guard lock(mutex);
            order.push_back(i);
        });
        until_waiting(static_cast<std::size_t>(i) + 1);
    }
    held.release();
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST_F(key_lock, refuses_more_than_its_bound_but_not_what_is_free) {
    auto held = take({"a"});
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] { (void)take({"a"}); });
    }
    until_waiting(3);
    EXPECT_EQ(refusal({"a"}, 30s), base::errc::exhausted);
    EXPECT_TRUE(take({"free"}));
    held.release();
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(locks_.keys_held(), 0u);
}

TEST_F(key_lock, a_guard_may_outlive_its_locks) {
    std::optional<key_locks> mine;
    mine.emplace();
    auto held = engine_.run(mine->lock({"a"}, 1s)).value();
    mine.reset();
    held.release();
}

awaitable<void> hold_one(key_locks* locks, std::atomic<int>* ended) {
    const auto r = co_await locks->lock({"a"}, 1h);
    *ended += r ? 1 : 0;
}

TEST_F(key_lock, a_cancelled_wait_leaves_the_queue) {
    auto held = take({"a"});
    std::atomic<int> granted = 0;
    task_group group(engine_.executor(), "test");
    group.spawn(hold_one(&locks_, &granted), "waits");
    until_waiting(1);
    EXPECT_TRUE(engine_.run(group.stop(30s)));
    EXPECT_EQ(granted, 0);
    EXPECT_EQ(locks_.waiting(), 0u);
}

// Random overlapping sets with short limits from several threads: never two holders of one key, no
// deadlock, nothing left.
awaitable<void> contend(key_locks* locks, std::array<std::atomic<int>, 5>* holders,
                        std::atomic<int>* broken, unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 400; ++i) {
        keys wanted;
        std::vector<std::size_t> numbers;
        for (std::size_t k = 0; k < 5; ++k) {
            if (random() % 2 == 0) {
                wanted.push_back(std::to_string(k));
                numbers.push_back(k);
            }
        }
        auto r = co_await locks->lock(wanted, milliseconds(1 + random() % 3));
        if (!r) {
            continue;
        }
        for (const auto k : numbers) {
            *broken += (*holders)[k].fetch_add(1) != 0 ? 1 : 0;
        }
        if (random() % 4 == 0) {
            (void)co_await wait_for(100us);
        }
        for (const auto k : numbers) {
            (*holders)[k].fetch_sub(1);
        }
    }
}

TEST_F(key_lock, holds_under_contention) {
    key_locks locks;
    std::array<std::atomic<int>, 5> holders{};
    std::atomic<int> broken = 0;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] { engine_.run(contend(&locks, &holders, &broken, t)); });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(broken, 0);
    EXPECT_EQ(locks.keys_held(), 0u);
    EXPECT_EQ(locks.waiting(), 0u);
}

} // namespace
} // namespace immortal::runtime
