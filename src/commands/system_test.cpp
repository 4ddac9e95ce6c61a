// The commands that the system gives: unattended sessions, erasure.
#include "commands/command_fixture.hpp"
#include "commands/names.hpp"

#include <gmock/gmock.h>

namespace immortal::commands {
namespace {

using base::errc;
using std::chrono::hours;

class system_test : public world {
protected:
    base::result<outcome> by_system(std::string key, game_command command, std::size_t number = 0) {
        return engine_.run(
            server(number).execute(system_actor(), std::move(key), std::move(command)));
    }
    base::uuid start(const base::uuid& player, std::string key = "start") {
        return id(done(std::move(key), start_cultivation{player, "basic_qi_gathering", {}}),
                  "sessionId");
    }
    std::string name_stream_of(std::string_view name) {
        return name_stream(name, settings_.name_key);
    }
};

TEST_F(system_test, its_commands_are_no_players) {
    const base::uuid player_id = ready_player();
    const base::uuid session = start(player_id);
    EXPECT_EQ(refused("mine", complete_unattended{session}).code, errc::forbidden);
    EXPECT_EQ(refused("mine", erase_player{player_id}).code, errc::forbidden);
    who_.role = role::admin;
    EXPECT_EQ(refused("mine", erase_player{player_id}).code, errc::forbidden);
    for (const game_command& command : std::vector<game_command>{
             create_player{"张铁"}, rest{player_id}, interrupt_cultivation{session}}) {
        EXPECT_EQ(by_system("theirs", command).error().code, errc::forbidden);
    }
}

TEST_F(system_test, an_unattended_session_ends_once_whoever_says_so_and_however_often) {
    const base::uuid player_id = ready_player();
    const base::uuid session = start(player_id);
    clock_.advance(hours(2));
    EXPECT_EQ(by_system("due", complete_unattended{session}).error().reason, "not_unattended");
    clock_.advance(hours(24));
    const auto first = by_system("due", complete_unattended{session});
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->body.at("status").as_string(), "completed");
    const auto count = events(game::player::stream_of(player_id)).size();
    restart();
    for (const std::size_t server : {0u, 1u}) {
        const auto again = by_system("due", complete_unattended{session}, server);
        ASSERT_TRUE(again.has_value());
        EXPECT_TRUE(again->repeated);
        EXPECT_EQ(text(*again), text(*first));
    }
    EXPECT_EQ(by_system("other", complete_unattended{session}).error().reason, "session_ended");
    EXPECT_EQ(events(game::player::stream_of(player_id)).size(), count);
    const auto home = events(game::player::stream_of(player_id));
    EXPECT_EQ(game::parse_metadata(home.back().metadata).actor, "system");
}

TEST_F(system_test, the_player_may_be_faster) {
    const base::uuid player_id = ready_player();
    const base::uuid session = start(player_id);
    clock_.advance(hours(48));
    (void)done("complete", complete_cultivation{session});
    EXPECT_EQ(by_system("due", complete_unattended{session}).error().reason, "session_ended");
}

TEST_F(system_test, erasure_takes_the_name_and_gives_it_back) {
    const base::uuid player_id = ready_player();
    const base::uuid session = start(player_id);
    const auto gone = by_system("erase", erase_player{player_id});
    ASSERT_TRUE(gone.has_value()) << gone.error().message;
    EXPECT_TRUE(player(player_id).state.erased);
    EXPECT_EQ(player(player_id).state.name, "");
    EXPECT_EQ(fold<game::cultivation::state>(game::cultivation::stream_of(session)).state.status,
              game::session_status::interrupted);
    EXPECT_EQ(events(name_stream_of("韩立")).back().type, "PlayerNameReleased");
    EXPECT_EQ(refused("rest", rest{player_id}).code, errc::not_found);
    restart();
    EXPECT_TRUE(by_system("erase", erase_player{player_id}).value().repeated);
    EXPECT_EQ(by_system("other", erase_player{player_id}).error().code, errc::not_found);
    EXPECT_EQ(events(name_stream_of("韩立")).size(), 2u);
}

TEST_F(system_test, a_name_that_was_given_back_is_free_once) {
    for (int i = 0; i < 3; ++i) {
        const std::string number = std::to_string(i);
        const base::uuid player_id = create("create" + number);
        EXPECT_EQ(refused("late" + number, create_player{"韩立"}).reason, "name_taken");
        ASSERT_TRUE(by_system("erase" + number, erase_player{player_id}).has_value());
        // The first creation is still answered as it was, and takes no name.
        EXPECT_TRUE(done("create" + number, create_player{"韩立"}).repeated);
    }
    EXPECT_EQ(events(name_stream_of("韩立")).size(), 6u);
}

TEST_F(system_test, a_name_of_somebody_else_is_not_given_back) {
    const base::uuid player_id = create();
    eventstore::stream_write foreign;
    foreign.stream = name_stream_of("韩立");
    foreign.expected = eventstore::expected_revision::any();
    foreign.events.push_back(
        {base::uuid::make_derived("test", "foreign"), "PlayerNameReserved",
         R"({"playerId":")" + base::uuid::make_derived("a", "b").text() + "\"}", "{}",
         eventlog::content::json});
    std::vector<eventstore::stream_write> writes;
    writes.push_back(std::move(foreign));
    ASSERT_TRUE(engine_.run(store_.append(std::move(writes))).has_value());
    ASSERT_TRUE(by_system("erase", erase_player{player_id}).has_value());
    EXPECT_EQ(events(name_stream_of("韩立")).back().type, "PlayerNameReserved");
}

} // namespace
} // namespace immortal::commands
