#include "cache/flights.hpp"
#include "runtime/engine.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <future>

namespace immortal::cache {
namespace {

namespace asio = boost::asio;
using std::chrono::seconds;

asio::awaitable<std::optional<flights::outcome>> wait(flights::place place,
                                                      std::chrono::milliseconds limit) {
    co_return co_await place.wait(limit);
}

struct flights_fixture : ::testing::Test {
    flights_fixture() { engine.start(); }
    runtime::engine engine;
    flights all;
    entry value{{5}, {5}, false, "5"};
};

TEST_F(flights_fixture, followers_get_what_the_leader_loaded) {
    auto leader = all.join("k", {});
    ASSERT_TRUE(leader.leads());
    std::vector<std::future<std::optional<flights::outcome>>> followers;
    for (int i = 0; i < 20; ++i) {
        auto place = all.join("k", {});
        ASSERT_FALSE(place.leads());
        followers.push_back(asio::co_spawn(engine.executor(), wait(std::move(place), seconds(30)),
                                           asio::use_future));
    }
    leader.finish(value);
    for (auto& f : followers) {
        const auto got = f.get();
        ASSERT_TRUE(got && *got);
        EXPECT_EQ(value, ***got);
    }
    EXPECT_EQ(0u, all.under_way());
}

TEST_F(flights_fixture, a_leader_that_gives_up_wakes_the_followers) {
    std::optional<flights::place> leader(all.join("k", {}));
    auto follower =
        asio::co_spawn(engine.executor(), wait(all.join("k", {}), seconds(30)), asio::use_future);
    leader.reset();
    const auto got = follower.get();
    ASSERT_TRUE(got);
    EXPECT_EQ(nullptr, *got);
    EXPECT_TRUE(all.join("k", {}).leads());
}

TEST_F(flights_fixture, waiting_is_bounded) {
    auto leader = all.join("k", {});
    EXPECT_FALSE(engine.run(wait(all.join("k", {}), std::chrono::milliseconds(5))));
}

TEST_F(flights_fixture, who_takes_any_value_does_not_wait_for_a_position) {
    auto waits_for_9 = all.join("k", base::position{9});
    EXPECT_TRUE(all.join("k", {}).leads());
    EXPECT_TRUE(all.join("k", base::position{8}).alone());
    const auto later = all.join("k", base::position{10});
    EXPECT_FALSE(later.leads() || later.alone());
}

} // namespace
} // namespace immortal::cache
