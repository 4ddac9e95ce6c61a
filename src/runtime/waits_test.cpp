// Deadlines and the broadcast event.
#include "base/result.hpp"
#include "runtime/async_event.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace immortal::runtime {
namespace {

using namespace std::chrono_literals;
using base::result;

class waits : public testing::Test {
protected:
    waits() { engine_.start(); }
    engine engine_;
};

awaitable<result<int>> after(milliseconds delay, int value, std::atomic<bool>* ended = nullptr) {
    (void)co_await wait_for(delay);
    if (ended != nullptr) {
        *ended = true;
    }
    co_return value;
}

awaitable<result<int>> stubborn(std::atomic<bool>* ended) {
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    (void)co_await wait_for(1h); // ends by the cancellation
    *ended = true;
    co_return 5;
}

awaitable<result<int>> endless() {
    for (;;) {
        (void)co_await wait_for(1h);
    }
}

awaitable<result<int>> reports_cancellation() {
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    (void)co_await wait_for(1h);
    co_return base::fail(base::errc::cancelled, "told to stop");
}

awaitable<result<int>> throws() {
    (void)co_await wait_for(1ms);
    throw std::runtime_error("planted");
}

TEST_F(waits, work_within_its_deadline_gives_its_result) {
    EXPECT_EQ(engine_.run(with_deadline(after(1ms, 3), 1h)).value(), 3);
}

TEST_F(waits, work_beyond_its_deadline_is_a_timeout) {
    EXPECT_EQ(engine_.run(with_deadline(endless(), 20ms)).error().code, base::errc::timeout);
    EXPECT_EQ(engine_.run(with_deadline(reports_cancellation(), 20ms)).error().code,
              base::errc::timeout);
}

TEST_F(waits, a_result_that_was_ready_is_not_dropped_and_the_work_has_ended) {
    std::atomic<bool> ended = false;
    EXPECT_EQ(engine_.run(with_deadline(stubborn(&ended), 20ms)).value(), 5);
    EXPECT_TRUE(ended);
}

TEST_F(waits, an_exception_passes_through_a_deadline) {
    EXPECT_THROW(engine_.run(with_deadline(throws(), 1h)), std::runtime_error);
}

TEST_F(waits, deadlines_nest) {
    EXPECT_EQ(engine_.run(with_deadline(with_deadline(endless(), 20ms), 1h)).error().code,
              base::errc::timeout);
    EXPECT_EQ(engine_.run(with_deadline(with_deadline(endless(), 1h), 20ms)).error().code,
              base::errc::timeout);
}

awaitable<void> wait_under_deadline(std::atomic<bool>* cancelled) {
    try {
        (void)co_await with_deadline(endless(), 1h);
    } catch (const boost::system::system_error&) {
        *cancelled = true;
        throw;
    }
}

TEST_F(waits, cancelling_the_caller_cancels_the_work) {
    task_group group(engine_.executor(), "test");
    std::atomic<bool> cancelled = false;
    group.spawn(wait_under_deadline(&cancelled), "waits");
    EXPECT_TRUE(engine_.run(group.stop(30s)));
    EXPECT_EQ(group.running(), 0u);
}

TEST_F(waits, many_deadlines_at_once) {
    std::vector<std::thread> threads;
    std::atomic<int> right = 0;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                const auto r = engine_.run(with_deadline(after(milliseconds(i % 3), i), 2ms));
                right += (r ? *r == i : r.error().code == base::errc::timeout) ? 1 : 0;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(right, 800);
}

TEST_F(waits, an_event_wakes_everyone_who_waits) {
    async_event event;
    const auto seen = event.version();
    std::vector<std::thread> threads;
    std::atomic<int> woken = 0;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] { woken += engine_.run(event.wait(seen, 1h)) ? 1 : 0; });
    }
    event.notify_all();
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(woken, 4);
}

TEST_F(waits, an_event_is_not_missed_between_test_and_wait) {
    async_event event;
    const auto seen = event.version();
    event.notify_all();
    EXPECT_TRUE(engine_.run(event.wait(seen, 1h)));
    EXPECT_FALSE(engine_.run(event.wait(event.version(), 5ms)));
}

TEST_F(waits, a_producer_and_a_consumer_meet_at_every_step) {
    async_event event;
    std::atomic<int> made = 0;
    std::thread producer([&] {
        for (int i = 0; i < 2000; ++i) {
            ++made;
            event.notify_all();
        }
    });
    int seen_count = 0;
    while (seen_count < 2000) {
        const auto seen = event.version();
        seen_count = made;
        if (seen_count < 2000) {
            ASSERT_TRUE(engine_.run(event.wait(seen, 30s)));
        }
    }
    producer.join();
}

awaitable<void> wait_for_event(async_event* event, std::atomic<int>* ended) {
    (void)co_await event->wait(event->version(), 1h);
    ++*ended;
}

TEST_F(waits, waiting_for_an_event_is_cancelled) {
    async_event event;
    std::atomic<int> ended = 0;
    task_group group(engine_.executor(), "test");
    for (int i = 0; i < 20; ++i) {
        group.spawn(wait_for_event(&event, &ended), "waits");
    }
    EXPECT_TRUE(engine_.run(group.stop(30s)));
}

TEST_F(waits, abandoned_waits_leak_nothing) { // meaningful under AddressSanitizer
    auto event = std::make_unique<async_event>();
    {
        engine other({.threads = 1, .drain = 1ms});
        other.start();
        boost::asio::co_spawn(other.executor(), event->wait(0, 1h),
                              [](const std::exception_ptr&, bool) {});
    }
}

} // namespace
} // namespace immortal::runtime
