#include "commands/command_fixture.hpp"

namespace immortal::commands {
namespace {

class snapshots_test : public world {
protected:
    // Moves to and fro, one event a command.
    void walk(const base::uuid& player_id, int count) {
        for (int i = 0; i < count; ++i) {
            ++walked_;
            (void)done(
                "walk" + std::to_string(walked_),
                move_player{player_id, walked_ % 2 == 1 ? "bamboo_forest" : "newbie_village"});
        }
    }
    std::string snapshot_stream(const base::uuid& player_id) {
        return game::snapshot_stream_of(game::player::stream_of(player_id));
    }
    int walked_ = 0;
};

TEST_F(snapshots_test, are_written_every_hundred_events_and_equal_the_fold) {
    const base::uuid player_id = create();
    walk(player_id, 350);
    restart(); // waits for the snapshots
    const auto snapshots = events(snapshot_stream(player_id));
    // Of the three, the last one is kept.
    ASSERT_EQ(snapshots.size(), 1u);
    EXPECT_EQ(snapshots.front().revision, base::revision{2});
    const auto metadata = events("$$" + snapshot_stream(player_id));
    ASSERT_EQ(metadata.size(), 1u);
    EXPECT_EQ(metadata.front().data, R"({"$maxCount":1})");
    auto all = events(game::player::stream_of(player_id));
    for (const auto& event : snapshots) {
        auto home = game::decode_snapshot<game::player::state>(event.data);
        ASSERT_TRUE(home.has_value()) << home.error().message;
        game::home<game::player::state> folded;
        for (const auto& e : all) {
            if (e.revision <= *home->revision) {
                ASSERT_TRUE(game::fold(folded, e).has_value());
            }
        }
        EXPECT_EQ(*home, folded);
    }
}

TEST_F(snapshots_test, change_nothing_but_the_reads) {
    const base::uuid player_id = create();
    walk(player_id, 701);
    const outcome first = done("walk600", move_player{player_id, "newbie_village"});
    EXPECT_TRUE(first.repeated);
    restart();
    store_.reads = 0;
    EXPECT_EQ(text(done("walk600", move_player{player_id, "newbie_village"})), text(first));
    EXPECT_EQ(store_.reads, 4u); // first page, snapshot, tail, the answer
    EXPECT_EQ(refused("there", move_player{player_id, "bamboo_forest"}).reason, "already_there");
    walk(player_id, 1);
}

TEST_F(snapshots_test, a_creation_is_answered_again_after_any_number_of_commands) {
    const outcome first = done("create", create_player{"韩立"});
    const base::uuid player_id = id(first, "playerId");
    walk(player_id, static_cast<int>(game::commands_remembered) + 50);
    for (const bool restarted : {false, true}) {
        if (restarted) {
            restart();
        }
        const outcome again = done("create", create_player{"韩立"});
        EXPECT_TRUE(again.repeated);
        EXPECT_EQ(text(again), text(first));
        EXPECT_EQ(again.position, first.position);
        EXPECT_EQ(refused("create", create_player{"厉飞雨"}).code, base::errc::mismatch);
    }
}

TEST_F(snapshots_test, unfit_ones_are_passed_over) {
    const base::uuid player_id = create();
    walk(player_id, 301);
    restart();
    const std::string good = events(snapshot_stream(player_id)).back().data;
    std::string outdated = good;
    const std::string version = "\"rulesVersion\":" + std::to_string(game::rules_version);
    outdated.replace(outdated.find(version), version.size(), R"("rulesVersion":0)");
    int n = 0;
    for (const std::string& data : {outdated, good.substr(1), std::string("{}"), std::string()}) {
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = snapshot_stream(player_id);
        writes[0].events.push_back({base::uuid::make_derived("bad", std::to_string(++n)),
                                    game::snapshot_type, data, "{}", eventlog::content::json});
        ASSERT_TRUE(engine_.run(memory_->append(std::move(writes))).has_value());
        restart();
        EXPECT_EQ(refused("there", move_player{player_id, "bamboo_forest"}).reason,
                  "already_there");
        EXPECT_TRUE(done("walk300", move_player{player_id, "newbie_village"}).repeated);
    }
}

TEST_F(snapshots_test, can_be_left_out) {
    settings_.snapshot_every = 0;
    const base::uuid player_id = create();
    walk(player_id, 300);
    restart();
    EXPECT_TRUE(events(snapshot_stream(player_id)).empty());
    walk(player_id, 3);
}

TEST_F(snapshots_test, a_small_memory_is_enough) {
    settings_.aggregates_max = 1;
    const base::uuid one = create("one", "one");
    const base::uuid two = create("two", "two");
    for (int i = 0; i < 20; ++i) {
        const char* to = i % 2 == 0 ? "bamboo_forest" : "newbie_village";
        (void)done("a" + std::to_string(i), move_player{one, to});
        (void)done("b" + std::to_string(i), move_player{two, to});
    }
    EXPECT_EQ(player(one).revision->value, 20u);
    EXPECT_EQ(player(two).revision->value, 20u);
}

} // namespace
} // namespace immortal::commands
