#include "runtime/async_event.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace immortal::runtime {
namespace {

using namespace std::chrono_literals;

class task_groups : public testing::Test {
protected:
    task_groups() { engine_.start(); }
    engine engine_;
    task_group group_{engine_.executor(), "test"};
};

awaitable<void> count(std::atomic<int>* counter) {
    (void)co_await wait_for(1ms);
    ++*counter;
}

awaitable<void> wait_for_ever(std::atomic<int>* ended) {
    try {
        for (;;) {
            (void)co_await wait_for(1h);
        }
    } catch (const boost::system::system_error&) {
        ++*ended;
        throw;
    }
}

awaitable<void> fail_with(std::string what) {
    throw std::runtime_error(what);
    co_return;
}

awaitable<void> ignore_cancellation(async_event* release) {
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    while (!co_await release->wait(0, 50ms)) {
    }
}

awaitable<bool> all_ended(task_group* group) {
    while (group->running() > 0) {
        if (!co_await wait_for(1ms)) {
            co_return false;
        }
    }
    co_return true;
}

TEST_F(task_groups, runs_its_tasks) {
    std::atomic<int> counter = 0;
    for (int i = 0; i < 100; ++i) {
        group_.spawn(count(&counter), "count");
    }
    EXPECT_TRUE(engine_.run(all_ended(&group_)));
    EXPECT_EQ(counter, 100);
    EXPECT_EQ(group_.failures(), 0u);
}

TEST_F(task_groups, stop_cancels_and_joins) {
    std::atomic<int> ended = 0;
    for (int i = 0; i < 50; ++i) {
        group_.spawn(wait_for_ever(&ended), "waits");
    }
    EXPECT_TRUE(engine_.run(group_.stop(30s)));
    EXPECT_EQ(ended, 50);
    EXPECT_EQ(group_.running(), 0u);
    EXPECT_EQ(group_.failures(), 0u);
}

TEST_F(task_groups, a_failure_is_counted_and_ends_only_its_task) {
    std::atomic<int> counter = 0;
    group_.spawn(fail_with("planted"), "fails");
    group_.spawn(count(&counter), "counts");
    EXPECT_TRUE(engine_.run(all_ended(&group_)));
    EXPECT_EQ(group_.failures(), 1u);
    EXPECT_EQ(counter, 1);
}

TEST_F(task_groups, a_task_that_does_not_end_is_reported) {
    async_event release;
    group_.spawn(ignore_cancellation(&release), "stubborn");
    EXPECT_FALSE(engine_.run(group_.stop(20ms)));
    release.notify_all();
    EXPECT_TRUE(engine_.run(group_.stop(30s)));
}

TEST_F(task_groups, nothing_starts_after_stop) {
    EXPECT_TRUE(engine_.run(group_.stop(1s)));
    std::atomic<int> counter = 0;
    group_.spawn(count(&counter), "late");
    EXPECT_EQ(group_.running(), 0u);
    EXPECT_EQ(counter, 0);
}

} // namespace
} // namespace immortal::runtime
