#include "readmodel/test_world.hpp"

namespace immortal::readmodel {
namespace {

using testing::world;

class check_test : public world {};

// A check that cannot fail is a defect: every table, planted one by one.
TEST_F(check_test, finds_each_planted_difference) {
    story_.act(300);
    project();
    expect_clean();
    struct plant {
        const char* change;
        const char* repair;
        const char* where;
        const char* field;
    };
    const plant plants[] = {
        {"UPDATE players SET gold = gold + 1 WHERE id = (SELECT min(id::text)::uuid FROM players)",
         "UPDATE players SET gold = gold - 1 WHERE id = (SELECT min(id::text)::uuid FROM players)",
         "players", "gold"},
        {"UPDATE players SET wealth_position = wealth_position + 1 WHERE id = (SELECT "
         "min(id::text)::uuid FROM players)",
         "UPDATE players SET wealth_position = wealth_position - 1 WHERE id = (SELECT "
         "min(id::text)::uuid FROM players)",
         "players", "wealthPosition"},
        {"UPDATE cultivation_records SET experience_gained = experience_gained + 1 WHERE id = "
         "(SELECT min(id::text)::uuid FROM cultivation_records)",
         "UPDATE cultivation_records SET experience_gained = experience_gained - 1 WHERE id = "
         "(SELECT min(id::text)::uuid FROM cultivation_records)",
         "cultivation_records", "experienceGained"},
        {"UPDATE player_techniques SET times_used = times_used + 1 WHERE id = (SELECT "
         "min(id::text)::uuid FROM player_techniques)",
         "UPDATE player_techniques SET times_used = times_used - 1 WHERE id = (SELECT "
         "min(id::text)::uuid FROM player_techniques)",
         "player_techniques", nullptr},
        {"UPDATE player_statistics_totals SET breakthroughs_achieved = breakthroughs_achieved + 1 "
         "WHERE player_id = (SELECT min(player_id::text)::uuid FROM player_statistics_totals)",
         "UPDATE player_statistics_totals SET breakthroughs_achieved = breakthroughs_achieved - 1 "
         "WHERE player_id = (SELECT min(player_id::text)::uuid FROM player_statistics_totals)",
         "statistics", "breakthroughsAchieved"},
        {"UPDATE due_commands SET due_at = due_at + interval '1 second' WHERE thing = (SELECT "
         "min(thing) FROM due_commands)",
         "UPDATE due_commands SET due_at = due_at - interval '1 second' WHERE thing = (SELECT "
         "min(thing) FROM due_commands)",
         "due_commands", "dueAt"},
        {"UPDATE due_commands SET command = 'other' WHERE thing = (SELECT min(thing) FROM "
         "due_commands)",
         "UPDATE due_commands SET command = 'complete_unattended' WHERE thing = (SELECT "
         "min(thing) FROM due_commands)",
         "due_commands", "command"},
    };
    for (const plant& one : plants) {
        SCOPED_TRACE(one.change);
        sql(one.change);
        const check_report report = check_all();
        ASSERT_EQ(report.differences, 1u) << base::encode_text(report);
        EXPECT_EQ(report.list[0].where, one.where);
        if (one.field != nullptr) {
            EXPECT_EQ(report.list[0].field, one.field);
        }
        sql(one.repair);
    }
    expect_clean();
}

TEST_F(check_test, finds_missing_and_superfluous_rows) {
    story_.act(200);
    project();
    sql("DELETE FROM players WHERE id = (SELECT min(id::text)::uuid FROM players)");
    EXPECT_EQ(check_all().differences, 1u);
    ASSERT_TRUE(engine_.run(rebuild(engine_.executor(), parts(), quick())));
    expect_clean();
    sql("INSERT INTO player_techniques (id, player_id, technique_id, learned_at, position) VALUES "
        "('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002', 'x', "
        "now(), 1)");
    EXPECT_EQ(check_all().differences, 1u);
    sql("DELETE FROM player_techniques WHERE technique_id = 'x'");
    sql("INSERT INTO cultivation_records (id, player_id, technique_id, technique_name, "
        "start_time, created_at, updated_at, revision, position) SELECT "
        "'00000000-0000-4000-8000-000000000003', player_id, technique_id, technique_name, "
        "start_time, created_at, updated_at, 0, 1 FROM cultivation_records LIMIT 1");
    EXPECT_EQ(check_all().differences, 1u);
}

// What was tombstoned past the commands is told, and the check goes on behind it.
TEST_F(check_test, tombstoned_streams_are_told_and_the_others_compared) {
    story_.act(200);
    project();
    const std::uint64_t players = check_all().players;
    const auto first = *base::uuid::parse(sql("SELECT min(id::text) FROM players"));
    const auto session = *base::uuid::parse(sql(
        "SELECT min(id::text) FROM cultivation_records WHERE player_id <> '" + first.text() + "'"));
    const std::string dead[] = {game::player::stream_of(first),
                                game::cultivation::stream_of(session)};
    for (const std::string& stream : dead) {
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = stream;
        writes[0].what = eventstore::stream_write::action::tombstone;
        ASSERT_TRUE(engine_.run(store_->append(std::move(writes))));
    }
    sql("UPDATE players SET gold = gold + 1 WHERE id = (SELECT max(id::text)::uuid FROM players)");
    const check_report report = check_all();
    EXPECT_EQ(report.players, players - 1);
    const auto told = [&](const std::string& where, const std::string& id) {
        return std::ranges::count_if(
            report.list, [&](const difference& d) { return d.where == where && d.id == id; });
    };
    EXPECT_EQ(told("log", dead[0]), 1) << base::encode_text(report);
    EXPECT_EQ(told("log", dead[1]), 1) << base::encode_text(report);
    EXPECT_EQ(told("players", first.text()), 1) << "its rows are still there";
    EXPECT_EQ(told("players", sql("SELECT max(id::text) FROM players")), 1);
}

TEST_F(check_test, works_beside_a_running_projector_and_on_a_sample) {
    ASSERT_TRUE(start());
    story_.act(300);
    const check_report report = check_all();
    EXPECT_EQ(report.differences, 0u) << base::encode_text(report);
    catch_up();
    stop();
    check_settings some;
    some.sample = 3;
    const auto sampled =
        engine_.run(check({*db_, *store_, game::catalog::builtin(), nullptr}, some, {}));
    ASSERT_TRUE(sampled);
    EXPECT_LT(sampled->players, story_.ids().size());
}

// The views say what the original's aggregation of whole tables says.
TEST_F(check_test, views_equal_full_aggregation) {
    story_.act(400);
    project();
    const std::string aggregated =
        "SELECT p.id, p.name, p.level, p.realm, p.experience, p.gold, p.spirit_stones, "
        "COALESCE(cs.sessions, 0) AS total_cultivation_sessions, "
        "COALESCE(cs.hours, 0) AS total_cultivation_time_hours, "
        "COALESCE(cs.experience, 0) AS total_experience_from_cultivation, "
        "COALESCE(cs.breakthroughs, 0) AS breakthroughs_achieved, "
        "0 AS total_combats, 0 AS combat_wins, 0 AS combat_losses, 0 AS combat_win_rate, "
        "0 AS total_experience_from_combat, 0 AS total_items, 0 AS equipped_items, "
        "0 AS legendary_items, COALESCE(ts.total, 0) AS total_techniques, "
        "COALESCE(ts.masters, 0) AS master_level_techniques, p.created_at, p.last_active_at "
        "FROM players p LEFT JOIN (SELECT player_id, COUNT(*) AS sessions, "
        "SUM(duration_seconds) / 3600.0 AS hours, SUM(experience_gained) AS experience, "
        "SUM(CASE WHEN breakthrough_achieved THEN 1 ELSE 0 END) AS breakthroughs "
        "FROM cultivation_records WHERE status = 'completed' GROUP BY player_id) cs "
        "ON p.id = cs.player_id LEFT JOIN (SELECT player_id, COUNT(*) AS total, "
        "SUM(CASE WHEN proficiency_level >= 10 THEN 1 ELSE 0 END) AS masters "
        "FROM player_techniques GROUP BY player_id) ts ON p.id = ts.player_id";
    EXPECT_EQ(sql("SELECT count(*) FROM ((" + aggregated +
                  ") EXCEPT (SELECT * FROM player_statistics)) d"),
              "0");
    EXPECT_EQ(sql("SELECT count(*) FROM player_statistics"), std::to_string(story_.ids().size()));
    const std::string board =
        "SELECT p.id, p.name, p.level, p.realm, cs.sessions, cs.hours, cs.experience, "
        "cs.breakthroughs, cs.average, cs.efficiency FROM players p JOIN (SELECT player_id, "
        "COUNT(*) AS sessions, SUM(duration_seconds) / 3600.0 AS hours, "
        "SUM(experience_gained) AS experience, "
        "SUM(CASE WHEN breakthrough_achieved THEN 1 ELSE 0 END) AS breakthroughs, "
        "round(AVG(duration_seconds) / 3600.0, 6) AS average, "
        "CASE WHEN SUM(duration_seconds) > 0 THEN round(SUM(experience_gained)::DECIMAL / "
        "(SUM(duration_seconds) / 3600.0), 6) ELSE 0 END AS efficiency "
        "FROM cultivation_records WHERE status = 'completed' GROUP BY player_id "
        "HAVING SUM(experience_gained) > 0) cs ON p.id = cs.player_id";
    EXPECT_EQ(sql("SELECT count(*) FROM ((" + board +
                  ") EXCEPT (SELECT id, name, level, realm, total_cultivation_sessions, "
                  "total_cultivation_time_hours, total_experience_from_cultivation, "
                  "breakthroughs_achieved, round(avg_session_duration, 6), "
                  "round(cultivation_efficiency, 6) FROM cultivation_leaderboard)) d"),
              "0");
}

} // namespace
} // namespace immortal::readmodel
