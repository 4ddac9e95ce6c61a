#include "cache/cache_class.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace immortal::cache {
namespace {

const base::uuid some_id = *base::uuid::parse("0b1c2d3e-4f50-8a61-9273-8495a6b7c8d9");
const std::string id_text = some_id.text();

TEST(cache_class, keys_are_those_of_the_original) {
    const std::map<std::string, key> named{
        {"player:" + id_text, keys::player(some_id)},
        {"player:stats:" + id_text, keys::player_stats(some_id)},
        {"player:inventory:" + id_text, keys::player_inventory(some_id)},
        {"player:techniques:" + id_text, keys::player_techniques(some_id)},
        {"online:" + id_text, keys::online_player(some_id)},
        {"online:players", keys::online_players()},
        {"cultivation:" + id_text, keys::cultivation_session(some_id)},
        {"cultivation:queue", keys::cultivation_queue()},
        {"combat:" + id_text, keys::combat_session(some_id)},
        {"combat:queue", keys::combat_queue()},
        {"leaderboard:wealth", keys::leaderboard("wealth")},
        {"market:prices", keys::market_prices()},
        {"market:item:qi_pill", keys::item_market("qi_pill")},
        {"config:game", keys::game_config()},
        {"status:server", keys::server_status()},
        {"session:" + id_text, keys::user_session(some_id)},
        {"socket:42", keys::socket_session("42")},
        {"temp:code", keys::temp_data("code")},
        {"lock:trade-1", keys::lock("trade-1")},
    };
    for (const auto& [text, made] : named) {
        EXPECT_EQ(text, made.text());
    }
}

TEST(cache_class, times_and_strategies_are_those_of_the_original) {
    using std::chrono::seconds;
    const std::map<std::string_view, seconds> ttl{{"playerData", seconds(300)},
                                                  {"playerStats", seconds(600)},
                                                  {"playerInventory", seconds(180)},
                                                  {"onlineStatus", seconds(60)},
                                                  {"cultivationSession", seconds(3600)},
                                                  {"combatSession", seconds(1800)},
                                                  {"leaderboard", seconds(300)},
                                                  {"marketData", seconds(120)},
                                                  {"gameConfig", seconds(3600)},
                                                  {"tempData", seconds(60)},
                                                  {"lock", seconds(30)}};
    std::size_t found = 0;
    for (const cache_class* c : classes::all()) {
        if (const auto it = ttl.find(c->name); it != ttl.end()) {
            ++found;
            EXPECT_EQ(it->second, c->ttl) << c->name;
        }
    }
    EXPECT_EQ(ttl.size(), found);
    EXPECT_EQ(write_strategy::through, classes::player_data.write);
    EXPECT_EQ(write_strategy::through, classes::player_stats.write);
    EXPECT_EQ(write_strategy::back, classes::player_inventory.write);
    EXPECT_EQ(write_strategy::back, classes::market_data.write);
    EXPECT_EQ(write_strategy::around, classes::temp_data.write);
    EXPECT_EQ(eviction::lru, classes::player_data.policy);
    EXPECT_EQ(eviction::lru, classes::player_stats.policy);
    EXPECT_EQ(eviction::lfu, classes::game_config.policy);
    EXPECT_EQ(eviction::lfu, classes::leaderboard.policy);
    EXPECT_EQ(eviction::ttl, classes::online_status.policy);
    EXPECT_EQ(eviction::ttl, classes::temp_data.policy);
}

TEST(cache_class, class_comes_from_the_builder_not_from_the_text) {
    EXPECT_EQ("playerStats", keys::player_stats(some_id).what().name);
    EXPECT_EQ("playerInventory", keys::player_inventory(some_id).what().name);
    EXPECT_EQ("playerData", keys::player(some_id).what().name);
}

TEST(cache_class, table_is_complete_and_indexed) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < classes::count; ++i) {
        EXPECT_EQ(i, classes::all()[i]->index);
        names.insert(classes::all()[i]->name);
    }
    EXPECT_EQ(classes::count, names.size());
}

} // namespace
} // namespace immortal::cache
