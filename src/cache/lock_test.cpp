#include "cache/lock.hpp"
#include "cache/presence.hpp"
#include "cache/service.hpp"
#include "cache/temp_data.hpp"
#include "cache/test_world.hpp"

#include <future>

namespace immortal::cache {
namespace {

using namespace testing;

struct locks : ::testing::Test {
    locks() : n(w, quick("")), manager(w.engine.executor(), n.client(), w.clock, w.random) {}
    base::result<std::unique_ptr<held_lock>> take(milliseconds ttl = seconds(60),
                                                  milliseconds wait = {}) {
        return w.engine.run(manager.acquire("thing", ttl, wait));
    }
    world w;
    node n;
    lock_manager manager;
};

TEST_F(locks, one_holder_at_a_time_with_rising_fences) {
    auto first = take();
    ASSERT_TRUE(first);
    EXPECT_TRUE((*first)->held());
    const auto second = take();
    ASSERT_FALSE(second);
    EXPECT_EQ(base::errc::conflict, second.error().code);
    EXPECT_TRUE(w.engine.run((*first)->release()));
    EXPECT_FALSE((*first)->held());
    const auto third = take();
    ASSERT_TRUE(third);
    EXPECT_GT((*third)->fence(), (*first)->fence());
    n.run({"FLUSHALL"});
    const auto fourth = take();
    ASSERT_TRUE(fourth);
    EXPECT_GT((*fourth)->fence(), (*third)->fence());
}

TEST_F(locks, waiting_for_it_works) {
    auto first = take();
    std::jthread releases([&] { static_cast<void>(w.engine.run((*first)->release())); });
    EXPECT_TRUE(take(seconds(60), seconds(60)));
}

TEST_F(locks, another_holders_lock_is_neither_released_nor_extended) {
    const auto first = take();
    n.run({"SET", "lock:thing", "somebody else"});
    EXPECT_EQ(base::errc::conflict, w.engine.run((*first)->extend()).error().code);
    EXPECT_FALSE((*first)->held());
    EXPECT_EQ(base::errc::conflict, w.engine.run((*first)->release()).error().code);
    EXPECT_EQ("somebody else", n.run({"GET", "lock:thing"}).text);
}

TEST_F(locks, extension_begins_a_new_time_to_live) {
    const auto first = take(seconds(60));
    n.run({"PEXPIRE", "lock:thing", "5000"});
    EXPECT_TRUE(w.engine.run((*first)->extend()));
    EXPECT_GT(n.run({"PTTL", "lock:thing"}).integer, 10'000);
}

TEST_F(locks, keeping_signals_the_loss) {
    const auto first = take(milliseconds(300));
    std::promise<void> lost;
    (*first)->keep([&] { lost.set_value(); });
    n.run({"SET", "lock:thing", "somebody else"});
    EXPECT_EQ(std::future_status::ready, lost.get_future().wait_for(seconds(60)));
    EXPECT_FALSE((*first)->held());
}

TEST_F(locks, keeping_signals_the_loss_of_redis) {
    const auto first = take(milliseconds(300));
    std::promise<void> lost;
    (*first)->keep([&] { lost.set_value(); });
    w.server.kill();
    EXPECT_EQ(std::future_status::ready, lost.get_future().wait_for(seconds(60)));
    EXPECT_FALSE((*first)->held());
    EXPECT_FALSE(take());
}

TEST_F(locks, keeping_ends_with_release) {
    std::atomic<bool> lost{false};
    {
        const auto first = take(milliseconds(300));
        (*first)->keep([&] { lost = true; });
        EXPECT_TRUE(w.engine.run((*first)->release()));
    }
    EXPECT_TRUE(take(seconds(60)));
    EXPECT_FALSE(lost);
}

TEST_F(locks, without_redis_nobody_gets_one) {
    w.server.kill();
    const auto taken = take();
    ASSERT_FALSE(taken);
    EXPECT_NE(base::errc::conflict, taken.error().code);
}

TEST_F(locks, presence_follows_heartbeats) {
    presence online(n.client());
    const auto a = base::uuid::make_random(w.random);
    const auto b = base::uuid::make_random(w.random);
    ASSERT_TRUE(w.engine.run(online.heartbeat(a)));
    EXPECT_TRUE(w.engine.run(online.online(a)).value());
    EXPECT_FALSE(w.engine.run(online.online(b)).value());
    EXPECT_LE(n.run({"PTTL", "online:" + a.text()}).integer, 60'000);
    ASSERT_TRUE(w.engine.run(online.heartbeat(b)));
    EXPECT_EQ(2u, w.engine.run(online.count()).value());
    n.run({"ZADD", "online:players", "1000", a.text()}); // a fell silent long ago
    EXPECT_EQ(1u, w.engine.run(online.count()).value());
    EXPECT_EQ(std::vector{b}, w.engine.run(online.list(10)).value());
    ASSERT_TRUE(w.engine.run(online.leave(b)));
    EXPECT_EQ(0u, w.engine.run(online.count()).value());
    EXPECT_FALSE(w.engine.run(online.online(b)).value());
    w.server.kill();
    EXPECT_FALSE(w.engine.run(online.heartbeat(a)));
}

TEST_F(locks, temporary_data_is_taken_once) {
    temp_data temporary(n.client());
    ASSERT_TRUE(w.engine.run(temporary.put("code", "123456")));
    EXPECT_EQ("123456", w.engine.run(temporary.get("code")).value());
    EXPECT_EQ("123456", w.engine.run(temporary.take("code")).value());
    EXPECT_FALSE(w.engine.run(temporary.take("code")).value());
    ASSERT_TRUE(w.engine.run(temporary.put("x", "", milliseconds(5))));
    EXPECT_TRUE(eventually([&] { return !w.engine.run(temporary.get("x")).value(); }));
}

TEST_F(locks, a_service_holds_everything_together) {
    service::options options;
    options.cache = quick("projector");
    service all(w.engine.executor(), &n.client(), nullptr, w.clock, w.random, w.metrics, options);
    all.start();
    EXPECT_TRUE(eventually([&] { return all.values().health().redis_trusted; }));
    EXPECT_NE(nullptr, all.board("cultivation"));
    EXPECT_EQ(nullptr, all.board("unknown"));
    EXPECT_TRUE(all.locks() && all.online() && all.temporary());
    w.engine.run(all.stop());
}

} // namespace
} // namespace immortal::cache
