#include "commands/command_fixture.hpp"

#include <gmock/gmock.h>

namespace immortal::commands {
namespace {

using base::errc;
using std::chrono::hours;

class service_test : public world {};

TEST_F(service_test, a_life_from_creation_to_completion) {
    const base::uuid player_id = create();
    (void)done("learn", learn_technique{player_id, "basic_qi_gathering"});
    const outcome started = done("start", start_cultivation{player_id, "basic_qi_gathering", {}});
    const base::uuid session = id(started, "sessionId");
    EXPECT_EQ(refused("early", complete_cultivation{session}).reason, "not_finished");
    clock_.advance(std::chrono::minutes(30));
    (void)done("half", progress_cultivation{session});
    clock_.advance(std::chrono::minutes(30));
    const outcome ended = done("complete", complete_cultivation{session});
    EXPECT_EQ(ended.body.at("status").as_string(), "completed");
    EXPECT_EQ(ended.body.at("level").as_int64(), 2);
    (void)done("move", move_player{player_id, "bamboo_forest"});
    (void)done("again", start_cultivation{player_id, "basic_qi_gathering", "bamboo_forest"});
    const auto now = player(player_id);
    EXPECT_EQ(now.state.status, game::player_status::cultivating);
    EXPECT_EQ(now.state.experience, ended.body.at("totalExperienceGained").as_int64());
}

TEST_F(service_test, every_event_names_its_command_and_stands_in_one_batch) {
    const base::uuid player_id = ready_player();
    const outcome started = done("start", start_cultivation{player_id, "basic_qi_gathering", {}});
    const auto home = events(game::player::stream_of(player_id));
    const auto session = events(game::cultivation::stream_of(id(started, "sessionId")));
    ASSERT_EQ(session.size(), 1u);
    EXPECT_EQ(home.back().position, started.position);
    EXPECT_TRUE(home.back().last_in_batch);
    EXPECT_FALSE(session[0].last_in_batch);
    const auto first = game::parse_metadata(home[home.size() - 2].metadata);
    const auto last = game::parse_metadata(home.back().metadata);
    const auto other = game::parse_metadata(session[0].metadata);
    EXPECT_EQ(first.outcome, text(started));
    EXPECT_TRUE(first.request.has_value());
    EXPECT_FALSE(last.request.has_value());
    EXPECT_EQ(first.command_id, other.command_id);
    EXPECT_EQ(last.command_id, other.command_id);
    EXPECT_EQ(other.actor, who_.account.text());
}

TEST_F(service_test, the_first_answer_is_given_again) {
    const base::uuid player_id = ready_player();
    const outcome first = done("start", start_cultivation{player_id, "basic_qi_gathering", {}});
    EXPECT_FALSE(first.repeated);
    clock_.advance(hours(1));
    (void)done("complete", complete_cultivation{id(first, "sessionId")});
    const auto count = events(game::player::stream_of(player_id)).size();
    for (const bool restarted : {false, true}) {
        if (restarted) {
            restart();
        }
        for (const std::size_t server : {0u, 1u}) {
            const outcome again =
                done("start", start_cultivation{player_id, "basic_qi_gathering", {}}, server);
            EXPECT_TRUE(again.repeated);
            EXPECT_EQ(text(again), text(first));
            EXPECT_EQ(again.position, first.position);
            EXPECT_TRUE(done("create", create_player{"韩立"}, server).repeated);
            EXPECT_TRUE(
                done("complete", complete_cultivation{id(first, "sessionId")}, server).repeated);
        }
    }
    EXPECT_EQ(events(game::player::stream_of(player_id)).size(), count);
}

TEST_F(service_test, a_key_belongs_to_one_request) {
    const base::uuid player_id = ready_player();
    for (const bool restarted : {false, true}) {
        if (restarted) {
            restart();
        }
        EXPECT_EQ(refused("learn", learn_technique{player_id, "herb_lore"}).code, errc::mismatch);
        EXPECT_EQ(refused("learn", rest{player_id}).code, errc::mismatch);
        EXPECT_EQ(refused("create", create_player{"other"}).code, errc::mismatch);
    }
}

TEST_F(service_test, a_key_is_known_on_other_aggregates_of_the_process) {
    const base::uuid one = create("one", "一");
    const base::uuid two = create("two", "二");
    (void)done("key", learn_technique{one, "basic_qi_gathering"});
    EXPECT_EQ(refused("key", learn_technique{two, "basic_qi_gathering"}).code, errc::mismatch);
    EXPECT_EQ(refused("key", create_player{"三"}).code, errc::mismatch);
}

TEST_F(service_test, a_refused_key_may_be_used_again) {
    const base::uuid player_id = create();
    EXPECT_EQ(refused("k", rest{player_id}).reason, "energy_full");
    (void)done("k", learn_technique{player_id, "basic_qi_gathering"});
}

TEST_F(service_test, keys_are_the_accounts_own) {
    const base::uuid player_id = create("same");
    who_.account = base::uuid::make_derived("test", "other account");
    const base::uuid other = create("same", "厉飞雨");
    EXPECT_NE(player_id, other);
}

TEST_F(service_test, only_the_owner_acts) {
    const base::uuid player_id = ready_player();
    const outcome started = done("start", start_cultivation{player_id, "basic_qi_gathering", {}});
    who_.account = base::uuid::make_derived("test", "thief");
    EXPECT_EQ(refused("a", rest{player_id}).code, errc::forbidden);
    EXPECT_EQ(refused("b", complete_cultivation{id(started, "sessionId")}).code, errc::forbidden);
    EXPECT_EQ(refused("c", start_cultivation{player_id, "basic_qi_gathering", {}}).code,
              errc::forbidden);
    EXPECT_EQ(refused("d", rest{base::uuid::make_derived("no", "body")}).code, errc::not_found);
    EXPECT_EQ(refused("e", complete_cultivation{base::uuid::make_derived("no", "body")}).code,
              errc::not_found);
}

TEST_F(service_test, names_are_unique_however_they_are_written) {
    (void)create("a", "Han Li");
    const base::error taken = refused("b", create_player{"ＨＡＮ　ＬＩ"});
    EXPECT_EQ(taken.code, errc::rejected);
    EXPECT_EQ(taken.reason, "name_taken");
    EXPECT_EQ(refused("c", create_player{" "}).code, errc::invalid_argument);
    (void)create("b", "Li Han"); // the key of a refused command is free
}

TEST_F(service_test, keys_have_a_size) {
    EXPECT_EQ(refused("", create_player{"x"}).code, errc::invalid_argument);
    EXPECT_EQ(refused(std::string(256, 'k'), create_player{"x"}).code, errc::invalid_argument);
    (void)create(std::string(255, 'k'), "x");
}

TEST_F(service_test, a_cultivating_player_starts_no_second_session) {
    const base::uuid player_id = ready_player();
    (void)done("one", start_cultivation{player_id, "basic_qi_gathering", {}});
    EXPECT_EQ(refused("two", start_cultivation{player_id, "basic_qi_gathering", {}}).reason,
              "busy");
}

TEST_F(service_test, after_stop_nothing_is_done) {
    (void)create();
    engine_.run(server().stop());
    EXPECT_EQ(refused("x", create_player{"y"}).code, errc::unavailable);
}

// --- faults ---

TEST_F(service_test, unknown_outcomes_are_found_out) {
    const base::uuid player_id = ready_player();
    int n = 0;
    for (const fault what : {fault::unknown_not_written, fault::unknown_but_written}) {
        for (std::size_t times = 1; times <= 3; ++times) {
            store_.plan([=](std::size_t at) { return at < times ? what : fault::none; });
            const std::string to = ++n % 2 == 1 ? "bamboo_forest" : "newbie_village";
            const auto before = player(player_id).revision->value;
            const outcome moved = done("move" + std::to_string(n), move_player{player_id, to});
            EXPECT_FALSE(moved.repeated);
            EXPECT_EQ(player(player_id).revision->value, before + 1);
            EXPECT_EQ(player(player_id).state.current_location, to);
            EXPECT_EQ(store_.appends(), times + 1);
        }
    }
}

TEST_F(service_test, an_outcome_that_stays_unknown_is_said_to_be) {
    const base::uuid player_id = ready_player();
    for (const fault what : {fault::unknown_not_written, fault::unknown_but_written}) {
        store_.plan([&, what](std::size_t) {
            clock_.advance(std::chrono::seconds(2));
            return what;
        });
        const auto* const to =
            what == fault::unknown_not_written ? "bamboo_forest" : "newbie_village";
        const std::string key = std::string("go ") + to;
        EXPECT_EQ(refused(key, move_player{player_id, to}).code, errc::unknown_outcome);
        EXPECT_EQ(refused(key, rest{player_id}).code, errc::mismatch);
        store_.plan({});
        (void)done(key, move_player{player_id, to});
        EXPECT_EQ(player(player_id).state.current_location, to);
    }
    std::size_t moves = 0;
    for (const auto& e : events(game::player::stream_of(player_id))) {
        moves += e.type == "PlayerMoved" ? 1 : 0;
    }
    EXPECT_EQ(moves, 2u);
}

TEST_F(service_test, an_unknown_outcome_followed_by_another_error_stays_unknown) {
    const base::uuid player_id = ready_player();
    store_.plan([&](std::size_t n) {
        clock_.advance(std::chrono::seconds(1));
        return n == 0 ? fault::unknown_but_written : fault::unavailable;
    });
    EXPECT_EQ(refused("go", move_player{player_id, "bamboo_forest"}).code, errc::unknown_outcome);
    store_.plan({});
    EXPECT_TRUE(done("go", move_player{player_id, "bamboo_forest"}).repeated);
}

TEST_F(service_test, conflicts_are_tried_again) {
    const base::uuid player_id = ready_player();
    store_.plan([](std::size_t n) { return n < 3 ? fault::conflict : fault::none; });
    (void)done("go", move_player{player_id, "bamboo_forest"});
    store_.plan([](std::size_t) { return fault::conflict; });
    EXPECT_EQ(refused("back", move_player{player_id, "newbie_village"}).code, errc::unavailable);
    EXPECT_EQ(store_.appends(), settings_.attempts_max);
    store_.plan([](std::size_t n) { return n < 2 ? fault::conflict : fault::none; });
    const outcome started = done("start", start_cultivation{player_id, "basic_qi_gathering", {}});
    EXPECT_EQ(player(player_id).state.cultivation_session, id(started, "sessionId"));
    store_.plan([](std::size_t n) { return n < 2 ? fault::conflict : fault::none; });
    (void)create("other", "other");
}

TEST_F(service_test, an_absent_store_is_said_to_be_absent) {
    const base::uuid player_id = ready_player();
    store_.fail_once(fault::unavailable);
    const base::error away = refused("go", move_player{player_id, "bamboo_forest"});
    EXPECT_EQ(away.code, errc::unavailable);
    EXPECT_EQ(away.reason, "index_damaged");
    EXPECT_EQ(away.retry_after_ms, 2'500u) << "as the store told";
    EXPECT_EQ(player(player_id).state.current_location, "newbie_village");
    store_.reads_fail = true;
    // A refusal that cannot be checked is no refusal.
    EXPECT_EQ(refused("rest", rest{player_id}).code, errc::unavailable);
    store_.reads_fail = false;
    EXPECT_EQ(refused("rest", rest{player_id}).reason, "energy_full");
    (void)done("go", move_player{player_id, "bamboo_forest"});
}

// --- two processes on one store ---

TEST_F(service_test, a_refusal_is_checked_against_the_store) {
    const base::uuid player_id = ready_player();
    (void)done("warm", move_player{player_id, "bamboo_forest"}, 1); // in both memories
    (void)done("move", move_player{player_id, "newbie_village"}, 0);
    // Server 1 still believes the player to be in the forest.
    (void)done("back", move_player{player_id, "bamboo_forest"}, 1);
    (void)done("session", start_cultivation{player_id, "basic_qi_gathering", {}}, 0);
    EXPECT_EQ(refused("x", move_player{player_id, "newbie_village"}, 1).reason, "busy");
    const auto session = *player(player_id).state.cultivation_session;
    (void)done("stop", interrupt_cultivation{session}, 0);
    (void)done("y", move_player{player_id, "newbie_village"}, 1);
}

TEST_F(service_test, an_append_has_the_time_that_its_command_has_left) {
    const base::uuid player_id = ready_player();
    ASSERT_TRUE(execute("go", move_player{player_id, "bamboo_forest"}));
    EXPECT_GT(store_.last_limit().count(), 0);
    EXPECT_LE(store_.last_limit(), service_settings{}.timeout);
}

TEST_F(service_test, a_warm_command_reads_nothing) {
    const base::uuid player_id = ready_player();
    store_.reads = 0;
    const outcome started = done("start", start_cultivation{player_id, "basic_qi_gathering", {}});
    clock_.advance(hours(1));
    (void)done("complete", complete_cultivation{id(started, "sessionId")});
    (void)create("another", "another");
    EXPECT_EQ(store_.reads, 0u);
    EXPECT_EQ(store_.heads, 0u);
}

} // namespace
} // namespace immortal::commands
