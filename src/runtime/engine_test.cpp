#include "runtime/deadline.hpp"
#include "runtime/engine.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

namespace immortal::runtime {
namespace {

using namespace std::chrono_literals;

awaitable<std::unique_ptr<int>> make_value(int value) {
    (void)co_await wait_for(1ms);
    co_return std::make_unique<int>(value);
}

awaitable<void> throw_something() {
    (void)co_await wait_for(1ms);
    throw std::runtime_error("planted");
}

TEST(engine, runs_a_coroutine_and_gives_its_value) {
    engine e;
    e.start();
    EXPECT_EQ(*e.run(make_value(7)), 7);
}

TEST(engine, rethrows_what_a_coroutine_throws) {
    engine e;
    e.start();
    EXPECT_THROW(e.run(throw_something()), std::runtime_error);
    EXPECT_EQ(*e.run(make_value(8)), 8);
}

TEST(engine, survives_an_exception_that_leaves_a_handler) {
    engine e({.threads = 1});
    e.start();
    boost::asio::post(e.executor(), [] { throw std::runtime_error("planted"); });
    EXPECT_EQ(*e.run(make_value(9)), 9);
}

TEST(engine, stop_lets_outstanding_work_end) {
    engine e;
    e.start();
    std::atomic<bool> ended = false;
    boost::asio::steady_timer timer(e.executor(), 50ms);
    timer.async_wait([&](const boost::system::error_code&) { ended = true; });
    e.stop();
    EXPECT_TRUE(ended);
}

TEST(engine, stop_abandons_what_does_not_end) {
    engine e({.threads = 2, .drain = 20ms});
    e.start();
    boost::asio::steady_timer timer(e.executor(), 1h);
    timer.async_wait([](const boost::system::error_code&) {});
    e.stop();
    e.stop();
}

} // namespace
} // namespace immortal::runtime
