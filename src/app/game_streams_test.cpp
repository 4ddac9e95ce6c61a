// What the game writes is what clients of the event store's port cannot write.
#include "accounts/audit_trail.hpp"
#include "app/game_streams.hpp"
#include "commands/command_fixture.hpp"
#include "eventlog/stream_metadata.hpp"

#include <set>

namespace immortal::app {
namespace {

using eventlog::stream_write;

class game_streams_test : public commands::world {
protected:
    std::set<std::string> written() {
        std::set<std::string> out;
        const auto page = engine_.run(memory_->read_all({}, eventstore::direction::forwards,
                                                        100'000, eventstore::all_filter{}));
        EXPECT_TRUE(page && page->end);
        for (const auto& event : page->events) {
            out.insert(event.stream);
        }
        return out;
    }
};

// A story with every kind of stream: a name, a player, a session, snapshots, the accounts' records.
TEST_F(game_streams_test, every_stream_that_the_game_writes_is_among_them) {
    settings_.snapshot_every = 1;
    const auto player = ready_player();
    const auto session =
        done("start", commands::start_cultivation{player, "basic_qi_gathering", {}});
    (void)done("stop", commands::interrupt_cultivation{id(session, "sessionId")});
    restart();
    (void)engine_.run(
        server().execute(commands::system_actor(), "erase", commands::erase_player{player}));
    accounts::audit_trail trail(memory_.get(), clock_, random_, metrics_);
    engine_.run(trail.record("LoggedIn", {}));
    restart();

    std::set<std::string> families;
    for (const std::string& stream : written()) {
        const std::string_view subject =
            eventlog::is_metadata_stream(stream) ? eventlog::described_stream(stream) : stream;
        families.emplace(subject.substr(0, subject.find('-')));
        for (const std::string& each : {stream, "$$" + stream}) {
            const auto kept = esdb::check_kept(each, game_streams());
            ASSERT_FALSE(kept) << each << ": name it in app/game_streams.cpp";
            EXPECT_EQ(kept.error().code, base::errc::forbidden);
            EXPECT_EQ(kept.error().field, each);
        }
    }
    EXPECT_EQ(families,
              (std::set<std::string>{"cultivation", "player", "player_name", "snapshot_cultivation",
                                     "snapshot_player", "system"}));
    EXPECT_EQ(game_streams().size(), families.size());
}

TEST_F(game_streams_test, others_are_free) {
    for (const char* stream : {"player", "players-1", "playerx-1", "system-events-2", "my-player-1",
                               "snapshot-1", "cultivations-1", "$$guild-1", "$player-1"}) {
        EXPECT_TRUE(esdb::check_kept(stream, game_streams())) << stream;
    }
}

} // namespace
} // namespace immortal::app
