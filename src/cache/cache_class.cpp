#include "cache/cache_class.hpp"

#include <array>

namespace immortal::cache {

struct key_maker {
    static key make(const cache_class& what, std::string_view prefix, std::string_view rest = {}) {
        std::string text;
        text.reserve(prefix.size() + rest.size());
        text.append(prefix).append(rest);
        return {what, std::move(text)};
    }
};

namespace classes {

using std::chrono::seconds;
using enum write_strategy;
using enum eviction;

namespace {
constexpr milliseconds none{0};
constexpr milliseconds moment{1'000};
constexpr milliseconds negative{10'000};
constexpr std::size_t mib = std::size_t{1} << 20;
} // namespace

// name, ttl, write, eviction, local entries, local bytes, local ttl, negative ttl, index
constinit const cache_class player_data{"playerData", seconds(300), through,  lru, 100'000,
                                        96 * mib,     seconds(60),  negative, 0};
constinit const cache_class player_stats{"playerStats", seconds(600), through,  lru, 100'000,
                                         64 * mib,      seconds(60),  negative, 1};
constinit const cache_class player_inventory{"playerInventory", seconds(180), back,     lru, 50'000,
                                             64 * mib,          seconds(60),  negative, 2};
constinit const cache_class player_techniques{
    "playerTechniques", seconds(300), through, lru, 50'000, 64 * mib, seconds(60), negative, 3};
constinit const cache_class online_status{"onlineStatus", seconds(60), around, ttl, 0, 0,
                                          none,           none,        4};
constinit const cache_class cultivation_session{
    "cultivationSession", seconds(3600), through, ttl, 50'000, 32 * mib, seconds(60), negative, 5};
constinit const cache_class cultivation_queue{
    "cultivationQueue", seconds(300), around, ttl, 0, 0, none, none, 6};
constinit const cache_class combat_session{"combatSession", seconds(1800), through,  ttl, 20'000,
                                           32 * mib,        seconds(60),   negative, 7};
constinit const cache_class combat_queue{"combatQueue", seconds(300), around, ttl, 0, 0,
                                         none,          none,         8};
constinit const cache_class leaderboard{"leaderboard", seconds(300), around, lfu, 2'000,
                                        16 * mib,      moment,       moment, 9};
constinit const cache_class market_data{"marketData", seconds(120), back,     lru, 20'000,
                                        32 * mib,     seconds(60),  negative, 10};
constinit const cache_class game_config{"gameConfig", seconds(3600), around, lfu, 64,
                                        8 * mib,      seconds(30),   moment, 11};
constinit const cache_class server_status{"serverStatus", seconds(300), around, ttl, 8, mib,
                                          moment,         moment,       12};
constinit const cache_class user_session{"userSession", moment, around, ttl, 50'000,
                                         32 * mib,      moment, moment, 13};
constinit const cache_class socket_session{
    "socketSession", seconds(300), around, ttl, 0, 0, none, none, 14};
constinit const cache_class temp_data{"tempData", seconds(60), around, ttl, 0, 0, none, none, 15};
constinit const cache_class lock{"lock", seconds(30), around, ttl, 0, 0, none, none, 16};

std::span<const cache_class* const, count> all() noexcept {
    static constexpr std::array<const cache_class*, count> table{
        &player_data,   &player_stats,        &player_inventory,  &player_techniques,
        &online_status, &cultivation_session, &cultivation_queue, &combat_session,
        &combat_queue,  &leaderboard,         &market_data,       &game_config,
        &server_status, &user_session,        &socket_session,    &temp_data,
        &lock};
    return table;
}

} // namespace classes

namespace keys {

key player(base::uuid player_id) {
    return key_maker::make(classes::player_data, "player:", player_id.text());
}
key player_stats(base::uuid player_id) {
    return key_maker::make(classes::player_stats, "player:stats:", player_id.text());
}
key player_inventory(base::uuid player_id) {
    return key_maker::make(classes::player_inventory, "player:inventory:", player_id.text());
}
key player_techniques(base::uuid player_id) {
    return key_maker::make(classes::player_techniques, "player:techniques:", player_id.text());
}
key online_player(base::uuid player_id) {
    return key_maker::make(classes::online_status, "online:", player_id.text());
}
key online_players() {
    return key_maker::make(classes::online_status, "online:players");
}
key cultivation_session(base::uuid player_id) {
    return key_maker::make(classes::cultivation_session, "cultivation:", player_id.text());
}
key cultivation_record(base::uuid session_id) {
    return key_maker::make(classes::cultivation_session, "cultivation:record:", session_id.text());
}
key cultivation_queue() {
    return key_maker::make(classes::cultivation_queue, "cultivation:queue");
}
key combat_session(base::uuid combat_id) {
    return key_maker::make(classes::combat_session, "combat:", combat_id.text());
}
key combat_queue() {
    return key_maker::make(classes::combat_queue, "combat:queue");
}
key leaderboard(std::string_view board) {
    return key_maker::make(classes::leaderboard, "leaderboard:", board);
}
key leaderboard_page(std::string_view board, std::uint64_t offset, std::uint64_t limit) {
    std::string rest(board);
    rest.append(":page:").append(std::to_string(offset)).append(":").append(std::to_string(limit));
    return key_maker::make(classes::leaderboard, "leaderboard:", rest);
}
key market_prices() {
    return key_maker::make(classes::market_data, "market:prices");
}
key item_market(std::string_view item_id) {
    return key_maker::make(classes::market_data, "market:item:", item_id);
}
key game_config() {
    return key_maker::make(classes::game_config, "config:game");
}
key server_status() {
    return key_maker::make(classes::server_status, "status:server");
}
key user_session(base::uuid user_id) {
    return key_maker::make(classes::user_session, "session:", user_id.text());
}
key session_token(std::string_view hash_hex) {
    return key_maker::make(classes::user_session, "session:token:", hash_hex);
}
key socket_session(std::string_view socket_id) {
    return key_maker::make(classes::socket_session, "socket:", socket_id);
}
key temp_data(std::string_view name) {
    return key_maker::make(classes::temp_data, "temp:", name);
}
key lock(std::string_view resource) {
    return key_maker::make(classes::lock, "lock:", resource);
}

} // namespace keys

} // namespace immortal::cache
