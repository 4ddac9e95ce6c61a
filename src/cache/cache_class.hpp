// The kinds of cached things: names, times to live and strategies of the original design, as data.
//
// A `key` carries its class, so a time to live never depends on what a key's text happens to begin
// with. Keys are made only by the functions in `keys`.
#pragma once

#include "base/uuid.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace immortal::cache {

using std::chrono::milliseconds;

// What `layered_cache::freshen` does with a change of this class.
enum class write_strategy : std::uint8_t {
    through, // the new value goes to both levels at once
    back,    // only (entity, position) is marked as changed; the next reader derives the value
    around,  // nothing: the value reaches the cache when it is put or loaded
};

// Which entry the in-process level gives up when it is full.
enum class eviction : std::uint8_t {
    lru, // the one not used for the longest time
    lfu, // the one used least often; counts are halved from time to time
    ttl, // the one that would expire first
};

struct cache_class {
    std::string_view name; // as in the original: "playerData"
    milliseconds ttl;      // in Redis, before jitter
    write_strategy write;
    eviction policy;
    std::size_t local_entries_max; // of the in-process level; 0: not kept there
    std::size_t local_bytes_max;
    milliseconds local_ttl;    // in process, while invalidations are confirmed
    milliseconds negative_ttl; // of an entry that says "does not exist", both levels
    std::uint8_t index;        // place in `all`
};

namespace classes {
extern const cache_class player_data, player_stats, player_inventory, player_techniques,
    online_status, cultivation_session, cultivation_queue, combat_session, combat_queue,
    leaderboard, market_data, game_config, server_status, user_session, socket_session, temp_data,
    lock;
constexpr std::size_t count = 17;
[[nodiscard]] std::span<const cache_class* const, count> all() noexcept;
} // namespace classes

// A key's text together with its class. Cheap to move; compares by text.
class key {
public:
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] const cache_class& what() const noexcept { return *what_; }
    friend bool operator==(const key& a, const key& b) noexcept { return a.text_ == b.text_; }

private:
    key(const cache_class& what, std::string text) : what_(&what), text_(std::move(text)) {}
    friend struct key_maker;
    const cache_class* what_; // one of `classes`, lives for ever
    std::string text_;
};

namespace keys {
[[nodiscard]] key player(base::uuid player_id);              // player:<id>
[[nodiscard]] key player_stats(base::uuid player_id);        // player:stats:<id>
[[nodiscard]] key player_inventory(base::uuid player_id);    // player:inventory:<id>
[[nodiscard]] key player_techniques(base::uuid player_id);   // player:techniques:<id>
[[nodiscard]] key online_player(base::uuid player_id);       // online:<id>
[[nodiscard]] key online_players();                          // online:players
[[nodiscard]] key cultivation_session(base::uuid player_id); // cultivation:<player id>
[[nodiscard]] key cultivation_record(base::uuid session_id); // cultivation:record:<session id>
[[nodiscard]] key cultivation_queue();                       // cultivation:queue
[[nodiscard]] key combat_session(base::uuid combat_id);      // combat:<id>
[[nodiscard]] key combat_queue();                            // combat:queue
[[nodiscard]] key leaderboard(std::string_view board);       // leaderboard:<board>, a sorted set
// leaderboard:<board>:page:<offset>:<limit>, one page as JSON.
[[nodiscard]] key leaderboard_page(std::string_view board, std::uint64_t offset,
                                   std::uint64_t limit);
[[nodiscard]] key market_prices();                            // market:prices
[[nodiscard]] key item_market(std::string_view item_id);      // market:item:<id>
[[nodiscard]] key game_config();                              // config:game
[[nodiscard]] key server_status();                            // status:server
[[nodiscard]] key user_session(base::uuid user_id);           // session:<user id>
[[nodiscard]] key session_token(std::string_view hash_hex);   // session:token:<hash>
[[nodiscard]] key socket_session(std::string_view socket_id); // socket:<id>
[[nodiscard]] key temp_data(std::string_view name);           // temp:<name>
[[nodiscard]] key lock(std::string_view resource);            // lock:<resource>
} // namespace keys

} // namespace immortal::cache
