#include "cache/test_world.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <future>

namespace immortal::cache {
namespace {

using namespace testing;

struct layered : ::testing::Test {
    layered() : writer(w, quick("projector")) {
        EXPECT_TRUE(eventually([&] { return writer.trusts_redis(); }));
    }
    // A process that has read nothing yet, so that it asks Redis.
    std::unique_ptr<node> newcomer(base::log_identity identity = some_log) {
        return std::make_unique<node>(w, quick("", identity));
    }
    // A loader during which a change is committed; `evict`: and then thrown out of Redis, so that
    // only the ticket can tell.
    awaitable<base::result<entry>> read_then_change(entry changed, bool evict) {
        entry read = w.sql.get(player);
        w.sql.set(player, changed);
        co_await writer.cache().freshen({fresh_entry{player, changed}});
        if (evict) {
            static_cast<void>(co_await writer.client().run({"DEL", player.text()}));
        }
        co_return read;
    }
    awaitable<base::result<entry>> read_then_flush() {
        static_cast<void>(co_await writer.client().run({"FLUSHALL"}));
        co_return w.sql.get(player);
    }
    awaitable<base::result<entry>> read_after(std::shared_future<void> asked,
                                              std::atomic<int>* loads) {
        ++*loads;
        asked.wait(); // every reader has been spawned by now
        co_return w.sql.get(player);
    }
    world w;
    node writer;
    base::uuid id = base::uuid::make_random(w.random);
    key player = keys::player(id);
};

awaitable<base::result<entry>> value_of(entry value) {
    co_return value;
}

awaitable<base::status> warm(std::vector<std::string>* ran, std::string name, bool good) {
    ran->push_back(std::move(name));
    co_return good ? base::status{} : base::fail(base::errc::unavailable, "away");
}

TEST_F(layered, loads_once_then_serves_from_both_levels) {
    w.sql.set(player, make_entry(7, R"({"level":3})"));
    EXPECT_EQ(R"({"level":3})", writer.get(player).payload);
    EXPECT_EQ(make_entry(7, R"({"level":3})"), writer.get(player));
    EXPECT_EQ(make_entry(7, R"({"level":3})"), newcomer()->get(player));
    EXPECT_EQ(1, w.sql.reads());
    EXPECT_TRUE(writer.cache().peek(player));
}

TEST_F(layered, absent_and_falsy_values_are_hits) {
    EXPECT_TRUE(writer.get(player).absent);
    EXPECT_TRUE(newcomer()->get(player).absent);
    EXPECT_EQ(1, w.sql.reads());
    for (const char* falsy : {"0", "false", "\"\"", "null", ""}) {
        const key where = keys::item_market(std::string("x") + falsy);
        w.sql.set(where, make_entry(1, falsy));
        const int before = w.sql.reads();
        EXPECT_EQ(falsy, writer.get(where).payload);
        EXPECT_EQ(falsy, newcomer()->get(where).payload);
        EXPECT_EQ(before + 1, w.sql.reads());
    }
}

TEST_F(layered, keys_in_redis_have_a_jittered_time_to_live) {
    bool differ = false;
    std::int64_t first = 0;
    for (int i = 0; i < 20; ++i) {
        const key where = keys::player(base::uuid::make_random(w.random));
        writer.commit(where, make_entry(1));
        const std::int64_t left = writer.run({"PTTL", where.text()}).integer;
        EXPECT_LE(left, 330'000);
        EXPECT_GE(left, 200'000); // 270 s and a generous time for this test to stand still
        differ = differ || (first != 0 && std::abs(first - left) > 1'000);
        first = left;
    }
    EXPECT_TRUE(differ);
    writer.get(keys::player(id)); // absent
    EXPECT_LE(writer.run({"PTTL", player.text()}).integer, 11'000);
}

TEST_F(layered, a_value_that_is_not_new_enough_is_loaded) {
    writer.commit(player, make_entry(7, "old"));
    w.sql.set(player, {{7}, {20}, false, "old"});
    EXPECT_EQ(0, w.sql.reads());
    EXPECT_EQ(20u, writer.get(player, base::position{9}).as_of.value);
    EXPECT_EQ(1, w.sql.reads());
    EXPECT_EQ(20u, newcomer()->get(player, base::position{20}).as_of.value);
    EXPECT_EQ(1, w.sql.reads());
}

TEST_F(layered, a_source_that_is_behind_is_an_error) {
    w.sql.set(player, make_entry(7));
    const auto got = writer.get_with(player, w.sql.loads(player), base::position{8});
    ASSERT_FALSE(got);
    EXPECT_EQ(base::errc::behind, got.error().code);
}

awaitable<base::result<entry>> broken(std::optional<base::position>) {
    co_return base::fail(base::errc::unavailable, "The database is away.");
}

TEST_F(layered, errors_of_the_source_pass_through_and_are_not_kept) {
    const auto got = writer.get_with(player, broken);
    ASSERT_FALSE(got);
    EXPECT_EQ("The database is away.", got.error().message);
    w.sql.set(player, make_entry(7));
    EXPECT_EQ(7u, writer.get(player).position.value);
}

TEST_F(layered, entries_of_another_log_or_epoch_are_misses) {
    writer.commit(player, make_entry(900, "other epoch"));
    base::log_identity restored = some_log;
    restored.epoch = 2;
    w.sql.set(player, make_entry(5, "mine"));
    EXPECT_EQ("mine", newcomer(restored)->get(player).payload);
    EXPECT_EQ("mine", newcomer(restored)->get(player).payload);
    EXPECT_EQ(1, w.sql.reads());
    // The later epoch stands; the earlier one cannot put its value back.
    writer.freshen(player, make_entry(901, "other epoch"));
    EXPECT_EQ("mine", newcomer(restored)->get(player).payload);
    EXPECT_EQ(1, w.sql.reads());
}

// The race of tickets, in a fixed order: load, freshen, fill.
TEST_F(layered, what_was_read_before_a_change_is_never_kept) {
    w.sql.set(player, make_entry(7, "old"));
    const auto reader = newcomer();
    const auto got = reader->get_with(player, [this](std::optional<base::position>) {
        return read_then_change(make_entry(8, "new"), true);
    });
    EXPECT_EQ("old", got->payload);
    EXPECT_TRUE(writer.run({"GET", player.text()}).is_nil());
    EXPECT_EQ("new", newcomer()->get(player).payload);
}

TEST_F(layered, the_same_race_inside_one_process) {
    w.sql.set(player, make_entry(7, "old"));
    const auto got = writer.get_with(player, [this](std::optional<base::position>) {
        return read_then_change(make_entry(8, "new"), false);
    });
    EXPECT_EQ("old", got->payload);
    EXPECT_EQ("new", writer.cache().peek(player)->payload);
    EXPECT_EQ("new", newcomer()->get(player).payload);
}

TEST_F(layered, a_ticket_lost_with_redis_data_fills_nothing) {
    w.sql.set(player, make_entry(7));
    const auto reader = newcomer();
    const auto got = reader->get_with(
        player, [this](std::optional<base::position>) { return read_then_flush(); });
    EXPECT_EQ(7u, got->position.value);
    EXPECT_TRUE(writer.run({"GET", player.text()}).is_nil());
}

TEST_F(layered, redis_never_goes_back_under_many_writers) {
    node second(w, quick("second"));
    ASSERT_TRUE(eventually([&] { return second.trusts_redis(); }));
    std::atomic<std::uint64_t> next{1};
    std::atomic<int> running{3};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 150; ++i) {
                const std::uint64_t p = next.fetch_add(1);
                const auto made = make_entry(p > 5 ? p - (p * 7 % 5) : p);
                if (t == 2) {
                    static_cast<void>(newcomer()->get_with(
                        player, [made](std::optional<base::position>) { return value_of(made); },
                        made.position));
                } else {
                    (t == 0 ? writer : second).freshen(player, made);
                }
            }
            --running;
        });
    }
    std::uint64_t seen = 0;
    while (running > 0) {
        const auto bytes = second.run({"GET", player.text()}).text;
        if (const auto now = wire::decode(player.text(), bytes)) {
            ASSERT_GE(now->value.position.value, seen);
            seen = now->value.position.value;
        }
    }
    EXPECT_GT(seen, 100u);
}

TEST_F(layered, near_its_end_one_reader_refreshes_an_entry) {
    writer.commit(player, make_entry(7, "x"));
    writer.run({"PEXPIRE", player.text(), "20000"});
    w.sql.set(player, {{7}, {30}, false, "x"});
    EXPECT_EQ(30u, newcomer()->get(player).as_of.value);
    EXPECT_EQ(1, w.sql.reads());
    EXPECT_GT(writer.run({"PTTL", player.text()}).integer, 200'000);
    // A refresh that fails costs the reader nothing.
    writer.run({"PEXPIRE", player.text(), "20000"});
    EXPECT_EQ("x", newcomer()->get_with(player, broken)->payload);
    // The ticket of that reader is still out, so the next one takes what is there.
    EXPECT_EQ("x", newcomer()->get(player).payload);
    EXPECT_EQ(1, w.sql.reads());
}

TEST_F(layered, planted_values_are_not_served) {
    const key other = keys::player(base::uuid::make_random(w.random));
    writer.commit(other, make_entry(9, "other"));
    writer.commit(player, make_entry(7, "right"));
    const std::string good = writer.run({"GET", player.text()}).text;
    const std::string copied = writer.run({"GET", other.text()}).text;
    std::string flipped = good;
    flipped.back() = 'X';
    for (const std::string& planted : {flipped, copied, good.substr(0, 60), std::string("{}"),
                                       std::string(), std::string(200, '\xff')}) {
        writer.run({"SET", player.text(), planted});
        EXPECT_EQ("right", newcomer()->get(player).payload);
        EXPECT_EQ("right", newcomer()->get(player).payload);
    }
    writer.run({"DEL", player.text()});
    writer.run({"RPUSH", player.text(), "a", "list"});
    EXPECT_EQ("right", newcomer()->get(player).payload);
    EXPECT_EQ("string", writer.run({"TYPE", player.text()}).text);
}

TEST_F(layered, write_back_marks_and_the_next_reader_derives) {
    const key bag = keys::player_inventory(id);
    writer.commit(bag, make_entry(7, "ignored"));
    EXPECT_TRUE(writer.run({"GET", bag.text()}).is_nil()); // nothing there to mark
    EXPECT_EQ("ignored", writer.get(bag).payload);
    w.sql.set(bag, make_entry(8, "derived"));
    writer.freshen(bag, make_entry(8, ""));
    EXPECT_FALSE(writer.cache().peek(bag));
    EXPECT_EQ("derived", newcomer()->get(bag).payload);
    EXPECT_EQ("derived", newcomer()->get(bag).payload);
    EXPECT_EQ(2, w.sql.reads());
}

TEST_F(layered, patterns_are_removed_by_scan_but_not_locks_and_boards) {
    for (int i = 0; i < 1'200; ++i) {
        writer.run({"SET", "temp:" + std::to_string(i), "x"});
    }
    for (const char* name : {"lock:a", "leaderboard:wealth", "player:1"}) {
        writer.run({"SET", name, "x"});
    }
    writer.run({"SET", "leaderboard:wealth:page:0:10", "x"});
    const auto temps = w.engine.run(writer.cache().forget_matching("temp:*"));
    EXPECT_EQ(1'200u, temps.value());
    const auto rest = w.engine.run(writer.cache().forget_matching("*"));
    EXPECT_EQ(2u, rest.value());
    EXPECT_EQ(2, writer.run({"EXISTS", "lock:a", "leaderboard:wealth"}).integer);
    EXPECT_TRUE(writer.trusts_redis());
}

TEST_F(layered, a_stampede_loads_once) {
    w.sql.set(player, make_entry(7));
    std::atomic<int> loads{0};
    std::promise<void> all_asked;
    auto asked = all_asked.get_future().share();
    std::vector<std::future<base::result<entry>>> readers;
    const loader slow = [&](std::optional<base::position>) { return read_after(asked, &loads); };
    for (int i = 0; i < 200; ++i) {
        readers.push_back(boost::asio::co_spawn(w.engine.executor(),
                                                writer.cache().get_or_load(player, {}, slow),
                                                boost::asio::use_future));
    }
    all_asked.set_value();
    for (auto& reader : readers) {
        EXPECT_EQ(7u, reader.get()->position.value);
    }
    EXPECT_EQ(1, loads);
}

awaitable<base::result<entry>> throws(std::optional<base::position>) {
    throw std::runtime_error("broken environment");
    co_return entry{};
}

TEST_F(layered, a_leader_that_throws_blocks_nobody) {
    EXPECT_THROW(static_cast<void>(writer.get_with(player, throws)), std::runtime_error);
    w.sql.set(player, make_entry(7));
    EXPECT_EQ(7u, writer.get(player).position.value);
}

TEST_F(layered, warm_up_runs_what_was_registered) {
    node fresh(w, quick(""));
    std::vector<std::string> ran;
    const auto fill = [&ran](const char* name, bool good) {
        return [&ran, name, good] { return warm(&ran, name, good); };
    };
    fresh.cache().register_warm_up("config:game", fill("config:game", true));
    fresh.cache().register_warm_up("leaderboard:cultivation", fill("leaderboard", false));
    fresh.cache().register_warm_up("market:prices", fill("market:prices", true));
    EXPECT_EQ(2u, w.engine.run(fresh.cache().warm_up()));
    EXPECT_EQ(3u, ran.size());
}

TEST_F(layered, other_processes_hear_of_changes) {
    node reader(w, quick(""), hears::invalidations);
    ASSERT_TRUE(eventually([&] { return reader.cache().health().local_confirmed; }));
    writer.commit(player, make_entry(7, "old"));
    // The message about the first change may still make the reader's ticket void.
    ASSERT_TRUE(eventually(
        [&] { return reader.get(player).payload == "old" && reader.cache().peek(player); }));
    writer.commit(player, make_entry(8, "new"));
    EXPECT_TRUE(eventually([&] {
        const auto now = reader.cache().peek(player);
        return !now || now->payload == "new";
    }));
    EXPECT_EQ("new", reader.get(player).payload);

    EXPECT_TRUE(w.engine.run(writer.cache().forget(player)));
    EXPECT_TRUE(eventually([&] { return !reader.cache().peek(player); }));
}

TEST_F(layered, a_lost_subscription_empties_the_local_level) {
    node reader(w, quick(""), hears::invalidations);
    ASSERT_TRUE(eventually([&] { return reader.cache().health().local_confirmed; }));
    writer.commit(player, make_entry(7));
    ASSERT_TRUE(eventually([&] {
        reader.get(player);
        return reader.cache().peek(player).has_value();
    }));
    writer.run({"CLIENT", "KILL", "TYPE", "pubsub"});
    EXPECT_TRUE(eventually([&] { return !reader.cache().peek(player); }));
    EXPECT_TRUE(eventually([&] { return reader.cache().health().local_confirmed; }));
}

TEST_F(layered, only_log_derived_changes_of_around_classes_are_ignored) {
    writer.freshen(keys::game_config(), make_entry(3));
    EXPECT_TRUE(writer.run({"GET", "config:game"}).is_nil());
    EXPECT_FALSE(writer.cache().peek(keys::game_config()));
}

TEST(layered_without_redis, works_in_process_alone) {
    world w;
    settings options = quick("");
    options.exclusive = true;
    layered_cache alone(w.engine.executor(), nullptr, nullptr, w.clock, w.random, w.metrics,
                        options);
    const key player = keys::player(base::uuid{});
    w.sql.set(player, make_entry(3));
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(3u,
                  w.engine.run(alone.get_or_load(player, {}, w.sql.loads(player)))->position.value);
    }
    EXPECT_EQ(1, w.sql.reads());
    w.engine.run(alone.freshen({fresh_entry{player, make_entry(4)}}));
    EXPECT_EQ(4u, alone.peek(player)->position.value);
}

} // namespace
} // namespace immortal::cache
