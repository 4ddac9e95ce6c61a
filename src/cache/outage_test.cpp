// Redis killed, paused, emptied, and back with older data: speed is lost, truth is not.
#include "cache/test_world.hpp"

#include <cstdlib>

namespace immortal::cache {
namespace {

using namespace testing;

// The local level is switched off, so that every read shows what Redis is believed.
settings without_local(std::string freshener) {
    settings s = quick(std::move(freshener));
    s.local_unconfirmed = milliseconds(-1);
    return s;
}

struct outage : ::testing::Test {
    outage() : writer(w, without_local("projector")), reader(w, without_local("")) {
        EXPECT_TRUE(eventually([&] { return writer.trusts_redis(); }));
    }
    // Redis serves again: two reads, one load.
    bool served_from_redis(node& by) {
        const key probe = keys::player(base::uuid::make_random(w.random));
        by.get(probe);
        const int before = w.sql.reads();
        by.get(probe);
        return w.sql.reads() == before;
    }
    world w;
    node writer;
    node reader;
    key player = keys::player(base::uuid::make_random(w.random));
};

TEST_F(outage, everything_works_without_redis_and_recovers_by_itself) {
    writer.commit(player, make_entry(7, "seven"));
    w.server.kill();
    EXPECT_EQ("seven", writer.get(player).payload);
    EXPECT_EQ("seven", reader.get(player).payload);
    writer.commit(player, make_entry(8, "eight"));
    EXPECT_EQ("eight", writer.get(player).payload);
    EXPECT_EQ("eight", reader.get(player).payload);
    EXPECT_FALSE(writer.trusts_redis());
    EXPECT_GT(writer.cache().health().errors, 0u);
    EXPECT_GT(writer.cache().health().missed, 0u);

    w.server.start();
    EXPECT_TRUE(eventually([&] { return writer.trusts_redis(); }));
    EXPECT_TRUE(eventually([&] { return served_from_redis(writer); }));
    EXPECT_TRUE(eventually([&] { return served_from_redis(reader); }));
    EXPECT_EQ("eight", reader.get(player).payload);
}

TEST_F(outage, older_data_that_comes_back_is_not_served) {
    writer.commit(player, make_entry(7, "old"));
    EXPECT_EQ("OK", writer.run({"SAVE"}).text);
    writer.commit(player, make_entry(8, "new"));
    w.server.kill();
    w.server.start(); // with the dump: "old", its generation, and a lease that looks alive
    for (int i = 0; i < 50; ++i) {
        ASSERT_EQ("new", writer.get(player).payload) << i;
    }
    // The reader's bound is the lease; then it never sees the old value again.
    EXPECT_TRUE(eventually([&] { return reader.get(player).payload == "new"; }));
    for (int i = 0; i < 50; ++i) {
        ASSERT_EQ("new", reader.get(player).payload) << i;
    }
}

TEST_F(outage, a_change_that_a_hanging_redis_missed_is_not_lost) {
    writer.commit(player, make_entry(7, "old"));
    EXPECT_EQ("old", reader.get(player).payload);
    w.server.pause();
    writer.commit(player, make_entry(8, "new"));
    EXPECT_EQ("new", writer.get(player).payload);
    std::this_thread::sleep_for(seconds(2)); // the pause itself, not a synchronisation
    w.server.resume();
    for (int i = 0; i < 50; ++i) {
        ASSERT_EQ("new", writer.get(player).payload) << i;
    }
    EXPECT_TRUE(eventually([&] { return reader.get(player).payload == "new"; }));
    EXPECT_TRUE(eventually([&] { return served_from_redis(writer); }));
}

TEST_F(outage, an_emptied_redis_fills_again) {
    writer.commit(player, make_entry(7, "seven"));
    writer.run({"FLUSHALL"});
    EXPECT_EQ("seven", writer.get(player).payload);
    EXPECT_TRUE(eventually([&] { return served_from_redis(writer); }));
    EXPECT_TRUE(eventually([&] { return served_from_redis(reader); }));
    EXPECT_EQ("seven", reader.get(player).payload);
}

TEST_F(outage, a_freshener_that_died_makes_redis_untrusted_for_others) {
    settings options = without_local("second");
    options.lease = milliseconds(200);
    settings reading = without_local("");
    reading.lease = milliseconds(200);
    node other_reader(w, reading);
    writer.run({"ZADD", "cache:fresheners", "1000", "died"});
    EXPECT_FALSE(served_from_redis(other_reader));
    writer.run({"ZREM", "cache:fresheners", "died"});
    EXPECT_TRUE(eventually([&] { return served_from_redis(other_reader); }));
}

TEST_F(outage, a_restarted_freshener_trusts_nothing_from_before) {
    const key other = keys::player(base::uuid::make_random(w.random));
    {
        node second(w, without_local("second"));
        ASSERT_TRUE(eventually([&] { return second.trusts_redis(); }));
        second.commit(other, make_entry(7, "old"));
    }
    // Committed to SQL, and the process ended before it could freshen.
    w.sql.set(other, make_entry(8, "new"));
    node again(w, without_local("second"));
    ASSERT_TRUE(eventually([&] { return again.trusts_redis(); }));
    EXPECT_EQ("new", again.get(other).payload);
    EXPECT_EQ("new", reader.get(other).payload);
}

TEST_F(outage, damaged_keys_of_the_cache_itself_heal) {
    for (const char* name : {"cache:generation", "cache:fresheners", "cache:sequences"}) {
        writer.run({"DEL", name});
        writer.run({"RPUSH", name, "planted"});
        writer.commit(player, make_entry(w.sql.get(player).position.value + 1));
        EXPECT_EQ(w.sql.get(player), writer.get(player));
        EXPECT_TRUE(eventually([&] { return served_from_redis(writer); })) << name;
    }
}

// Kills, pauses, floods and older dumps in random order: what the freshening process committed it
// reads, every time; other processes agree as soon as Redis is well.
TEST_F(outage, a_nemesis_never_makes_the_cache_wrong) {
    const bool thorough = std::getenv("IMMORTAL_LONG") != nullptr;
    const std::uint64_t seed = w.random.next();
    SCOPED_TRACE(seed);
    base::seeded_random dice(seed);
    std::vector<key> players;
    for (int i = 0; i < 8; ++i) {
        players.push_back(keys::player(base::uuid::make_random(dice)));
    }
    std::uint64_t position = 0;
    const auto play = [&](int steps) {
        for (int i = 0; i < steps; ++i) {
            const key& who = players[dice.next() % players.size()];
            if (dice.next() % 2 == 0) {
                ++position;
                writer.commit(who, make_entry(position, std::to_string(position)));
            }
            ASSERT_EQ(w.sql.get(who).payload, writer.get(who).payload);
        }
    };
    for (int round = 0; round < (thorough ? 300 : 12); ++round) {
        play(20);
        switch (dice.next() % 4) {
        case 0:
            static_cast<void>(w.engine.run(writer.client().run({"SAVE"})));
            play(3);
            [[fallthrough]];
        case 1:
            w.server.kill();
            play(3);
            w.server.start();
            break;
        case 2:
            static_cast<void>(w.engine.run(writer.client().run({"FLUSHALL"})));
            break;
        default:
            w.server.pause();
            play(3);
            w.server.resume();
            break;
        }
        play(20);
    }
    EXPECT_TRUE(eventually([&] { return served_from_redis(reader); }));
    // Other processes are right within the lease, and stay right.
    for (const key& who : players) {
        EXPECT_TRUE(eventually([&] { return w.sql.get(who).payload == reader.get(who).payload; }));
    }
    for (const key& who : players) {
        EXPECT_EQ(w.sql.get(who).payload, reader.get(who).payload);
    }
}

} // namespace
} // namespace immortal::cache
