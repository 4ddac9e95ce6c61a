#include "base/patience_testing.hpp"
#include "runtime/blocking_pool.hpp"
#include "runtime/task_group.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>

namespace immortal::runtime {
namespace {

using namespace std::chrono_literals;

class blocking : public testing::Test {
protected:
    blocking() { engine_.start(); }

    // Keeps the only thread busy until `release`.
    void occupy(std::promise<void>& release) {
        std::latch begun(1);
        busy_ = std::thread([this, &begun, gate = release.get_future().share()] {
            (void)engine_.run(pool_.run([&begun, gate] {
                begun.count_down();
                gate.wait();
            }));
        });
        begun.wait();
    }
    ~blocking() override {
        if (busy_.joinable()) {
            busy_.join();
        }
    }

    engine engine_;
    blocking_pool pool_{{.threads = 1, .queue_max = 2}};
    std::thread busy_;
};

TEST_F(blocking, gives_the_value_of_the_call) {
    EXPECT_EQ(engine_.run(pool_.run([] { return std::string("done"); })).value(), "done");
    EXPECT_TRUE(engine_.run(pool_.run([] {})).has_value());
}

TEST_F(blocking, passes_results_and_exceptions_on) {
    const auto refused = [] -> base::result<int> {
        return base::fail(base::errc::not_found, "There is none.");
    };
    EXPECT_EQ(engine_.run(pool_.run(refused)).error().code, base::errc::not_found);
    EXPECT_THROW((void)engine_.run(pool_.run([]() -> int { throw std::runtime_error("planted"); })),
                 std::runtime_error);
}

TEST_F(blocking, a_full_queue_refuses) {
    std::promise<void> release;
    occupy(release);
    std::vector<std::thread> waiting;
    std::atomic<int> ran = 0;
    for (int i = 0; i < 2; ++i) {
        waiting.emplace_back([&] { (void)engine_.run(pool_.run([&] { ++ran; })); });
    }
    EXPECT_TRUE(base::comes_true([&] { return pool_.queued() == 2; }));
    EXPECT_EQ(engine_.run(pool_.run([] {})).error().code, base::errc::exhausted);
    release.set_value();
    for (auto& thread : waiting) {
        thread.join();
    }
    EXPECT_EQ(ran, 2);
}

TEST_F(blocking, what_does_not_begin_in_time_never_runs) {
    std::promise<void> release;
    occupy(release);
    std::atomic<bool> ran = false;
    EXPECT_EQ(engine_.run(pool_.run([&] { ran = true; }, 10ms)).error().code, base::errc::timeout);
    release.set_value();
    EXPECT_TRUE(engine_.run(pool_.run([] {})).has_value());
    EXPECT_FALSE(ran);
}

awaitable<void> call(blocking_pool* pool, std::latch* begun, std::shared_future<void> gate,
                     std::atomic<bool>* returned) {
    (void)co_await pool->run([begun, gate] {
        begun->count_down();
        gate.wait();
    });
    *returned = true;
}

TEST_F(blocking, a_call_that_has_begun_is_waited_for_though_the_caller_is_cancelled) {
    std::promise<void> release;
    std::latch begun(1);
    std::atomic<bool> returned = false;
    task_group group(engine_.executor(), "test");
    group.spawn(call(&pool_, &begun, release.get_future().share(), &returned), "calls");
    begun.wait();
    EXPECT_FALSE(engine_.run(group.stop(20ms)));
    EXPECT_FALSE(returned);
    release.set_value();
    EXPECT_TRUE(engine_.run(group.stop(30s)));
}

TEST_F(blocking, stop_drops_what_is_queued) {
    std::promise<void> release;
    occupy(release);
    auto queued =
        std::async(std::launch::async, [&] { return engine_.run(pool_.run([] {})).error().code; });
    EXPECT_TRUE(base::comes_true([&] { return pool_.queued() == 1; }));
    auto stopping = std::async(std::launch::async, [&] { pool_.stop(); });
    EXPECT_EQ(queued.get(), base::errc::cancelled);
    release.set_value();
    stopping.get();
    EXPECT_EQ(engine_.run(pool_.run([] {})).error().code, base::errc::cancelled);
}

} // namespace
} // namespace immortal::runtime
