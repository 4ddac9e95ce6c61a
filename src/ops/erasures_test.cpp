#include "commands/names.hpp"
#include "game/home.hpp"
#include "game/player.hpp"
#include "ops/erasures.hpp"
#include "ops/test_world.hpp"

namespace immortal::ops {
namespace {

using namespace testing;

class erasures_test : public world {
protected:
    erasures_test() {
        postgres::settings listening;
        listening.uri = scratch_.uri();
        accounts::settings light;
        light.hash_memory_bytes = 8192 * 8;
        light.hash_passes = 1;
        accounts_ = std::make_unique<accounts::service>(
            accounts::parts{engine_.executor(), *db_, listening, nullptr, store_.get(), clock_,
                            random_, metrics_},
            light);
        EXPECT_TRUE(engine_.run(
            accounts_->register_user("forgetme", "me@ex.org", "moonlit-sword-peak", "here")));
        const auto session =
            engine_.run(accounts_->log_in("forgetme", "moonlit-sword-peak", "here"));
        who_ = engine_.run(accounts_->authenticate(session->token)).value();
        actor_.account = who_.user_id;
    }
    ~erasures_test() override { engine_.run(accounts_->stop()); }

    std::unique_ptr<erasure_worker> work() {
        erasure_settings s;
        s.job = quick();
        auto out = std::make_unique<erasure_worker>(
            engine_.executor(),
            erasure_worker::parts{*db_, *accounts_, *commands_, queries_, applied_, faults_, clock_,
                                  metrics_},
            s);
        out->start();
        return out;
    }
    game::player::state player(base::uuid which) {
        game::home<game::player::state> out;
        const auto page = engine_.run(store_->read_stream(game::player::stream_of(which), {0},
                                                          eventstore::direction::forwards, 100));
        for (const auto& e : page->events) {
            EXPECT_TRUE(game::fold(out, e).has_value());
        }
        return out.state;
    }
    std::vector<base::uuid> create_players(int count) {
        std::vector<base::uuid> out;
        for (int i = 0; i < count; ++i) {
            out.push_back(create(actor_, "无名" + std::to_string(i)));
        }
        return out;
    }
    bool finished() {
        return sql("SELECT count(*) FROM users WHERE erasure_finished_at IS NOT NULL") == "1";
    }
    void expect_all_erased(const std::vector<base::uuid>& players, std::size_t left = 0) {
        for (const auto& one : players) {
            EXPECT_TRUE(player(one).erased);
        }
        EXPECT_EQ(sql("SELECT count(*) FROM players WHERE user_id = '" + who_.user_id.text() +
                      "' AND name <> ''"),
                  std::to_string(left));
    }

    readmodel::queries queries_{*db_, *store_};
    std::unique_ptr<accounts::service> accounts_;
    accounts::principal who_;
    commands::actor actor_;
};

TEST_F(erasures_test, every_player_of_the_account_forgets_the_person) {
    auto players = create_players(3);
    const auto session = start_session(actor_, players[0], "start");
    const auto other = create(account("other"), "别人");
    ASSERT_TRUE(start());
    const auto worker = work();
    ASSERT_TRUE(engine_.run(accounts_->erase(who_)));
    EXPECT_TRUE(eventually([&] { return metric("immortal_erasures_players_total") == 3; }));
    catch_up();
    EXPECT_FALSE(finished());                  // a command of before might still be under way
    players.push_back(create(actor_, "迟到")); // this one was
    EXPECT_TRUE(eventually([&] { return metric("immortal_erasures_players_total") == 4; }));
    clock_.advance(11s);
    EXPECT_TRUE(eventually([&] { return finished(); }));
    engine_.run(worker->stop());
    catch_up();
    stop();
    expect_all_erased(players);
    expect_clean();
    EXPECT_EQ(player(other).name, "别人");
    EXPECT_EQ(sql("SELECT end_reason FROM cultivation_records WHERE id = '" + session.text() + "'"),
              "erased");
    (void)create(account("other"), "无名1"); // the names are free again
}

// Whatever the moment of the crash: the append of player n fails, the worker ends there, and
// another one goes on.
TEST_F(erasures_test, an_interrupted_erasure_is_resumed) {
    const auto players = create_players(4);
    ASSERT_TRUE(start());
    ASSERT_TRUE(engine_.run(accounts_->erase(who_)));
    for (std::size_t at = 0; at < 3; ++at) {
        faults_.plan([](std::size_t n) {
            return n == 0 ? commands::fault::none : commands::fault::unavailable;
        });
        const double before = metric("immortal_erasures_players_total");
        const auto worker = work();
        EXPECT_TRUE(
            eventually([&] { return metric("immortal_erasures_players_total") == before + 1; }));
        engine_.run(worker->stop());
        restart_commands();
        catch_up();
    }
    faults_.plan({});
    const auto worker = work();
    clock_.advance(11s);
    EXPECT_TRUE(eventually([&] { return finished(); }));
    engine_.run(worker->stop());
    catch_up();
    stop();
    expect_all_erased(players);
    expect_clean();
}

// As an older version, or a client of a plain event store, left them.
TEST_F(erasures_test, tombstoned_streams_hold_up_nobody_else) {
    const auto players = create_players(3);
    const auto end = [&](const std::string& stream) {
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = stream;
        writes[0].what = eventstore::stream_write::action::tombstone;
        ASSERT_TRUE(engine_.run(store_->append(std::move(writes))));
    };
    end(game::player::stream_of(players[0]));
    end(commands::name_stream("无名1", "0123456789abcdef"));
    restart_commands();
    ASSERT_TRUE(start());
    const auto worker = work();
    ASSERT_TRUE(engine_.run(accounts_->erase(who_)));
    EXPECT_TRUE(eventually([&] { return metric("immortal_erasures_players_total") == 2; }));
    EXPECT_TRUE(eventually([&] { return metric("immortal_erasures_stuck_players") == 1; }));
    catch_up();
    expect_all_erased({players[1], players[2]}, 1);
    // It waits for its turn: rounds go by without another attempt.
    const std::size_t reads = faults_.reads;
    const std::size_t rounds = faults_.log_heads;
    EXPECT_TRUE(eventually([&] { return faults_.log_heads > rounds + 5; }));
    EXPECT_EQ(faults_.reads, reads);
    clock_.advance(11s);
    EXPECT_TRUE(eventually([&] { return faults_.reads > reads; }));
    EXPECT_FALSE(finished());
    sql("DELETE FROM players WHERE id = '" + players[0].text() + "'"); // as a rebuild does
    EXPECT_TRUE(eventually([&] { return finished(); }));
    EXPECT_TRUE(eventually([&] { return metric("immortal_erasures_stuck_players") == 0; }));
    engine_.run(worker->stop());
    stop();
}

TEST_F(erasures_test, waits_for_a_read_model_that_is_behind) {
    const auto players = create_players(2);
    ASSERT_TRUE(engine_.run(accounts_->erase(who_)));
    clock_.advance(60s);
    const auto worker = work(); // the read model knows of no player
    EXPECT_TRUE(eventually([&] { return metric("immortal_erasures_pending") == 1; }));
    EXPECT_FALSE(finished());
    ASSERT_TRUE(start());
    EXPECT_TRUE(eventually([&] { return finished(); }));
    engine_.run(worker->stop());
    catch_up();
    stop();
    expect_all_erased(players);
}

} // namespace
} // namespace immortal::ops
