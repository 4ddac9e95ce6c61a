#include "game/scenario.hpp"

#include <gmock/gmock.h>

namespace immortal::game {
namespace {

using std::chrono::minutes;
using testing::ElementsAre;

scenario ready() {
    scenario s;
    s.create().learn("basic_qi_gathering");
    return s;
}

// Before the gate: last level of the first realm, with the experience of the next.
scenario before_the_gate() {
    scenario s = ready();
    s.given(
        player::experience_gained{s.who.id, 2250, 2250, experience_source::system, {}, s.now()});
    s.given(player::player_level_up{s.who.id, 1, 9, "练气期", "练气期", 2250,
                                    attributes{8, 8, 8, 8, 40}, s.now()});
    s.given(
        player::technique_proficiency_gained{s.who.id, "basic_qi_gathering", 100, 100, 2, s.now()});
    s.numbers.insight_chance_percent = 0;
    return s;
}

TEST(cultivation, start_costs_energy_and_records_the_conditions) {
    scenario s = ready();
    s.start();
    EXPECT_THAT(s.types,
                ElementsAre("PlayerEnergyChanged", "PlayerStatusChanged", "CultivationStarted"));
    EXPECT_EQ(s.who.energy, 90);
    EXPECT_EQ(s.who.status, player_status::cultivating);
    EXPECT_EQ(s.who.cultivation_session, s.session.session_id);
    EXPECT_EQ(s.session.expected_duration, 3600);
    EXPECT_EQ(s.session.technique_name, "引气诀");
    EXPECT_EQ(s.session.ready_at, noon + std::chrono::hours(1));
    EXPECT_EQ(s.session.time_bonus_percent, 110); // 午时
    EXPECT_EQ(s.session.location, "newbie_village");
    const std::int64_t expected =
        percent_of(percent_of(percent_of(100, s.session.location_bonus_percent),
                              s.session.weather_bonus_percent),
                   s.session.time_bonus_percent);
    EXPECT_EQ(s.session.expected_experience, expected);
}

TEST(cultivation, start_is_refused_with_a_reason) {
    scenario s;
    s.create();
    EXPECT_EQ(s.start().code, "not_learned");
    EXPECT_EQ(s.start("nothing").code, "unknown_technique");
    s.learn("basic_qi_gathering").learn("iron_fist");
    EXPECT_EQ(s.start("iron_fist").code, "not_cultivable");
    EXPECT_EQ(s.start("basic_qi_gathering", "nowhere").code, "unknown_location");
    EXPECT_EQ(s.start("basic_qi_gathering", "bamboo_forest").code, "not_there");
    s.given(player::player_energy_changed{s.who.id, 100, 9, energy_reason::system, {}, s.now()});
    EXPECT_EQ(s.start().code, "not_enough_energy");
    s.hours(1).start("basic_qi_gathering", "newbie_village");
    EXPECT_EQ(s.code, "");
    EXPECT_EQ(s.start().code, "busy");
    EXPECT_EQ(s.learn("herb_lore").code, "busy");
    EXPECT_EQ(s.move("bamboo_forest").code, "busy");
    EXPECT_EQ(s.rest().code, "busy");
}

TEST(cultivation, progress_gives_the_share_of_the_time_passed) {
    scenario s = ready();
    EXPECT_EQ(s.start().progress().code, "no_progress");
    s.pass(minutes(30)).progress();
    EXPECT_EQ(s.session.progress, 5000);
    EXPECT_EQ(s.session.experience_gained, s.session.expected_experience / 2);
    EXPECT_EQ(s.who.experience, s.session.experience_gained);
    EXPECT_EQ(s.progress().code, "no_progress");
    s.hours(5).progress();
    EXPECT_EQ(s.session.progress, 10'000);
    EXPECT_EQ(s.who.experience, s.session.expected_experience);
    EXPECT_EQ(s.session.status, session_status::active);
}

TEST(cultivation, complete_waits_for_the_whole_time) {
    scenario s = ready();
    s.start().pass(minutes(60) - std::chrono::milliseconds(1));
    EXPECT_EQ(s.complete().code, "not_finished");
    s.pass(std::chrono::milliseconds(1)).complete();
    EXPECT_EQ(s.code, "");
    EXPECT_EQ(s.session.status, session_status::completed);
    EXPECT_EQ(s.session.duration, 3600);
    EXPECT_EQ(s.who.status, player_status::idle);
    EXPECT_FALSE(s.who.cultivation_session);
    EXPECT_EQ(s.who.experience, s.session.experience_gained);
    EXPECT_EQ(s.who.level, 2);
    EXPECT_EQ(s.who.techniques[0].times_used, 1);
    EXPECT_EQ(s.who.techniques[0].proficiency_experience, 20);
    for (auto again : {&scenario::complete, &scenario::progress, &scenario::interrupt}) {
        EXPECT_EQ((s.*again)().code, "session_ended");
    }
}

TEST(cultivation, an_hour_can_pass_in_a_second) {
    scenario s = ready();
    s.numbers.time_scale = 3600;
    s.start();
    EXPECT_EQ(s.session.ready_at, s.now() + std::chrono::seconds(1));
    EXPECT_EQ(s.pass(std::chrono::milliseconds(999)).complete().code, "not_finished");
    s.numbers.time_scale = 1; // the session keeps the scale it began with
    EXPECT_EQ(s.pass(std::chrono::milliseconds(1)).complete().code, "");
}

TEST(cultivation, is_ready_exactly_at_ready_at_whatever_the_scale) {
    for (const double scale : {0.001, 0.3, 1.0, 7.0, 3600.0, 12345.678, 1e6}) {
        scenario s = ready();
        s.numbers.time_scale = scale;
        s.start();
        s.pass(s.session.ready_at - s.now() - std::chrono::milliseconds(1));
        if (s.now() > s.session.start_time) {
            EXPECT_EQ(s.complete().code, "not_finished") << scale;
        }
        EXPECT_EQ(s.pass(std::chrono::milliseconds(1)).complete().code, "") << scale;
    }
}

TEST(cultivation, interrupt_keeps_what_was_earned) {
    scenario s = ready();
    s.start().pass(minutes(15)).interrupt();
    EXPECT_EQ(s.session.status, session_status::interrupted);
    EXPECT_EQ(s.session.end_reason, "player");
    EXPECT_EQ(s.session.progress, 2500);
    EXPECT_EQ(s.session.duration, 900);
    EXPECT_EQ(s.who.experience, s.session.expected_experience / 4);
    EXPECT_EQ(s.who.techniques[0].times_used, 0);
    EXPECT_EQ(s.who.status, player_status::idle);
}

TEST(cultivation, an_interruption_at_once_earns_nothing) {
    scenario s = ready();
    s.start().interrupt();
    EXPECT_THAT(s.types, ElementsAre("PlayerStatusChanged", "CultivationInterrupted"));
    EXPECT_EQ(s.who.experience, 0);
}

TEST(cultivation, insights_add_experience) {
    scenario s = ready();
    s.numbers.insight_chance_percent = 100;
    s.start().hours(1).complete();
    ASSERT_FALSE(s.session.insights_gained.empty());
    const auto percent = 100 + 5 * static_cast<std::int64_t>(s.session.insights_gained.size());
    EXPECT_EQ(s.session.experience_gained, percent_of(s.session.expected_experience, percent));
}

TEST(cultivation, levels_stop_at_the_gate_of_the_realm) {
    scenario s = before_the_gate();
    s.who.techniques[0].proficiency_experience = 0; // too little for an attempt
    s.start().hours(1).complete();
    EXPECT_EQ(s.session.status, session_status::completed);
    EXPECT_FALSE(s.emitted("RealmBreakthroughAttempted"));
    EXPECT_EQ(s.who.level, 9);
}

TEST(cultivation, breakthrough_opens_the_next_realm) {
    scenario s = before_the_gate();
    for (std::uint64_t seed = 1; s.session.status != session_status::completed; ++seed) {
        s.seed(seed).start().hours(1).complete();
        ASSERT_EQ(s.code, "");
        s.hours(24);
    }
    EXPECT_TRUE(s.session.breakthrough_achieved);
    EXPECT_THAT(s.types,
                ElementsAre("PlayerEnergyChanged", "ExperienceGained", "TechniqueProficiencyGained",
                            "RealmBreakthroughAttempted", "PlayerLevelUp", "CurrencyChanged",
                            "PlayerStatusChanged", "CultivationCompleted"));
    EXPECT_EQ(s.who.realm, "筑基期");
    EXPECT_EQ(s.who.level, 10);
    EXPECT_EQ(s.who.spirit_stones, 10);
    EXPECT_EQ(s.who.attributes_now, (attributes{22, 22, 22, 22, 168}));
    EXPECT_EQ(s.who.breakthrough_failures, 0);
}

TEST(cultivation, a_failed_breakthrough_costs_energy_and_raises_the_chance) {
    scenario s = before_the_gate();
    std::uint64_t seed = 0;
    do {
        s = before_the_gate();
        s.seed(++seed).start().hours(1).complete();
    } while (s.session.status != session_status::failed);
    EXPECT_EQ(s.session.end_reason, "breakthrough_failed");
    EXPECT_EQ(s.who.level, 9);
    EXPECT_EQ(s.who.realm, "练气期");
    EXPECT_EQ(s.who.energy, 50);
    EXPECT_EQ(s.who.breakthrough_failures, 1);
    EXPECT_EQ(player::breakthrough_chance(s.who, s.with()), 85);
    EXPECT_EQ(s.who.status, player_status::idle);
    EXPECT_EQ(s.who.experience, 2250 + s.session.experience_gained);
}

TEST(cultivation, a_session_without_its_player_is_completed_in_the_end) {
    scenario s = before_the_gate();
    s.numbers.insight_chance_percent = 100;
    s.start();
    const auto active = s.who.last_active_at;
    const auto updated = s.who.updated_at;
    EXPECT_EQ(s.session.unattended_at, s.session.ready_at + std::chrono::hours(24));
    s.pass(std::chrono::hours(25) - std::chrono::milliseconds(1)).complete_unattended();
    EXPECT_EQ(s.code, "not_unattended");
    s.pass(std::chrono::milliseconds(1)).complete_unattended();
    EXPECT_EQ(s.code, "");
    EXPECT_EQ(s.session.status, session_status::completed);
    EXPECT_EQ(s.session.end_reason, "unattended");
    EXPECT_EQ(s.session.experience_gained, s.session.expected_experience);
    EXPECT_THAT(s.session.insights_gained, testing::IsEmpty());
    EXPECT_FALSE(s.emitted("RealmBreakthroughAttempted"));
    EXPECT_TRUE(s.emitted("TechniqueProficiencyGained"));
    EXPECT_EQ(s.who.status, player_status::idle);
    EXPECT_EQ(s.who.last_active_at, active);
    EXPECT_GT(s.who.updated_at, updated);
    EXPECT_EQ(s.complete_unattended().code, "session_ended");
}

TEST(cultivation, the_wait_for_the_player_is_game_time) {
    scenario s = ready();
    s.numbers.time_scale = 3600;
    s.start();
    EXPECT_EQ(s.session.unattended_at, s.session.ready_at + std::chrono::seconds(24));
    s.numbers.time_scale = 1; // a session keeps the scale it began with
    s.pass(std::chrono::seconds(25)).complete_unattended();
    EXPECT_EQ(s.code, "");
}

TEST(cultivation, the_oldest_sessions_end_too) {
    scenario s = ready();
    s.start();
    auto first = *base::parse_json(s.session_log.front().second);
    first.as_object().erase("unattendedAt");
    cultivation::state old;
    ASSERT_TRUE(cultivation::evolve(old, "CultivationStarted", base::json::serialize(first)));
    EXPECT_EQ(old.unattended_at, old.ready_at + std::chrono::hours(24));
}

TEST(cultivation, erasure_ends_the_session_and_takes_the_name) {
    scenario s = ready();
    s.start().pass(minutes(30)).erase();
    EXPECT_EQ(s.code, "");
    EXPECT_TRUE(s.who.erased);
    EXPECT_EQ(s.who.name, "");
    EXPECT_EQ(s.who.status, player_status::idle);
    EXPECT_EQ(s.session.status, session_status::interrupted);
    EXPECT_EQ(s.session.end_reason, "erased");
    EXPECT_EQ(s.erase().code, "player_erased");
}

TEST(cultivation, the_same_dice_decide_the_same) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        scenario a = before_the_gate();
        scenario b = before_the_gate();
        a.seed(seed).start().hours(1).complete();
        b.seed(seed).start().hours(1).complete();
        EXPECT_EQ(a.who, b.who);
        EXPECT_EQ(a.session, b.session);
    }
}

TEST(cultivation, later_events_carry_the_start_time) {
    scenario s = ready();
    s.start().pass(minutes(30)).progress().pass(minutes(30)).complete();
    for (const auto& [type, data] : s.session_log) {
        EXPECT_EQ(base::parse_json(data)->at("startTime").as_string(), "2026-01-01T12:00:00.000Z")
            << type;
    }
}

} // namespace
} // namespace immortal::game
