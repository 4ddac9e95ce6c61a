#include "game/scenario.hpp"

#include <gmock/gmock.h>

namespace immortal::game {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;

TEST(player, begins_as_the_original_says) {
    scenario s;
    s.create();
    EXPECT_THAT(s.types, ElementsAre("PlayerCreated"));
    EXPECT_TRUE(s.who.exists);
    EXPECT_EQ(s.who.name, "韩立");
    EXPECT_EQ(s.who.level, 1);
    EXPECT_EQ(s.who.realm, "练气期");
    EXPECT_EQ(s.who.energy, 100);
    EXPECT_EQ(s.who.attributes_now, (attributes{10, 10, 10, 10, 100}));
    EXPECT_EQ(s.who.gold, 1000);
    EXPECT_EQ(s.who.spirit_stones, 0);
    EXPECT_EQ(s.who.current_location, "newbie_village");
    EXPECT_EQ(s.who.status, player_status::idle);
    EXPECT_EQ(s.who.last_active_at, noon);
    EXPECT_EQ(s.create().code, "player_exists");
}

TEST(player, learns_what_the_requirements_allow) {
    scenario s;
    s.create();
    EXPECT_EQ(s.learn("nothing").code, "unknown_technique");
    EXPECT_EQ(s.learn("cloud_breathing").code, "level_too_low");
    s.who.level = 4;
    EXPECT_EQ(s.learn("five_elements_circulation").code, "prerequisite_missing");
    s.who.level = 28;
    EXPECT_EQ(s.learn("foundation_scripture").code, "realm_too_low");
    EXPECT_EQ(s.learn("phoenix_rebirth").code, "not_learnable");
    s.learn("basic_qi_gathering");
    EXPECT_THAT(s.types, ElementsAre("TechniqueLearned"));
    ASSERT_EQ(s.who.techniques.size(), 1u);
    EXPECT_EQ(s.who.techniques[0].learned_from, "system");
    EXPECT_EQ(s.who.techniques[0].proficiency_level, 1);
    EXPECT_EQ(s.learn("basic_qi_gathering").code, "already_learned");
}

TEST(player, passive_technique_raises_attributes) {
    scenario s;
    s.create();
    s.who.level = 3;
    s.learn("jade_body");
    EXPECT_THAT(s.types, ElementsAre("TechniqueLearned", "AttributesChanged"));
    EXPECT_EQ(s.who.attributes_now, (attributes{12, 10, 10, 13, 110}));
}

TEST(player, rests_when_tired_once_an_hour) {
    scenario s;
    s.create();
    EXPECT_EQ(s.rest().code, "energy_full");
    s.given(player::player_energy_changed{s.who.id, 100, 20, energy_reason::system, {}, s.now()});
    s.rest();
    EXPECT_EQ(s.who.energy, 50);
    EXPECT_EQ(s.pass(minutes(30)).rest().code, "rest_too_soon");
    s.pass(minutes(30)).rest();
    EXPECT_THAT(s.types, ElementsAre("PlayerEnergyChanged", "PlayerEnergyChanged"));
    EXPECT_EQ(s.who.energy, 50 + 10 + 30);
}

TEST(player, energy_comes_back_with_time_and_keeps_begun_points) {
    scenario s;
    s.create().learn("basic_qi_gathering");
    s.given(player::player_energy_changed{s.who.id, 100, 50, energy_reason::system, {}, s.now()});
    s.pass(seconds(360 * 2 + 300)).move("bamboo_forest");
    EXPECT_THAT(s.types, ElementsAre("PlayerEnergyChanged", "PlayerMoved"));
    EXPECT_EQ(s.who.energy, 52);
    s.pass(seconds(60)).move("newbie_village");
    EXPECT_EQ(s.who.energy, 53); // 300 + 60 seconds
    s.hours(100).move("bamboo_forest");
    EXPECT_EQ(s.who.energy, 100);
    EXPECT_EQ(s.who.energy_since, s.now());
    EXPECT_THAT(s.hours(5).move("newbie_village").types, ElementsAre("PlayerMoved"));
}

TEST(player, time_does_not_run_back) {
    scenario s;
    s.create();
    s.given(player::player_energy_changed{s.who.id, 100, 50, energy_reason::system, {}, s.now()});
    s.hours(1).move("bamboo_forest");
    const auto before = s.who.updated_at;
    s.hours(-48).move("newbie_village");
    EXPECT_EQ(s.who.updated_at, before);
    EXPECT_EQ(s.who.energy, 60);
}

TEST(player, moves_where_the_level_allows) {
    scenario s;
    s.create();
    EXPECT_EQ(s.move("nowhere").code, "unknown_location");
    EXPECT_EQ(s.move("newbie_village").code, "already_there");
    EXPECT_EQ(s.move("sword_tomb").code, "level_too_low");
    s.move("bamboo_forest");
    EXPECT_EQ(s.who.current_location, "bamboo_forest");
    EXPECT_EQ(s.who.coordinates, (coordinates{12.5, 8.0}));
}

TEST(player, stream_names_go_both_ways) {
    const auto id = base::uuid::make_derived("a", "b");
    EXPECT_EQ(player::id_of_stream(player::stream_of(id)), id);
    EXPECT_FALSE(player::id_of_stream("player-1"));
    EXPECT_FALSE(player::id_of_stream(cultivation::stream_of(id)));
    EXPECT_EQ(cultivation::id_of_stream(cultivation::stream_of(id)), id);
}

TEST(player, erasure_takes_the_name_only) {
    scenario s;
    s.create().given(player::player_erased{s.who.id, s.now()});
    EXPECT_TRUE(s.who.erased);
    EXPECT_EQ(s.who.name, "");
    EXPECT_EQ(s.who.gold, 1000);
}

TEST(player, unknown_events_are_passed_over_and_damaged_ones_refused) {
    scenario s;
    s.create();
    const player::state before = s.who;
    EXPECT_FALSE(player::evolve(s.who, "PlayerDreamt", "{}").value());
    EXPECT_EQ(s.who, before);
    const auto damaged = player::evolve(s.who, "PlayerMoved", R"({"playerId":"x"})");
    ASSERT_FALSE(damaged.has_value());
    EXPECT_EQ(damaged.error().code, base::errc::corrupt);
    EXPECT_EQ(s.who, before);
}

TEST(player, event_keys_are_the_originals) {
    scenario s;
    s.create();
    const auto data = base::parse_json(s.player_log[0].second);
    for (const char* key :
         {"playerId", "userId", "playerName", "initialRealm", "initialLevel", "createdAt"}) {
        EXPECT_TRUE(data->as_object().contains(key)) << key;
    }
    EXPECT_EQ(data->at("createdAt").as_string(), "2026-01-01T12:00:00.000Z");
}

} // namespace
} // namespace immortal::game
