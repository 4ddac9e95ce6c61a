// The derived values as clients see them: one structure for the SQL row, the JSON answer and the
// cache entry, so that the three cannot disagree. Their JSON is `base::encode`: camelCase keys;
// absent optionals are left out.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/uuid.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace immortal::readmodel {

struct coordinates_view {
    double x = 0;
    double y = 0;
    friend bool operator==(const coordinates_view&, const coordinates_view&) = default;
};
BOOST_DESCRIBE_STRUCT(coordinates_view, (), (x, y))

// A row of `players`: a function of the events of `player-<id>` alone.
struct player_view {
    base::uuid id;
    base::uuid user_id;
    std::string name;
    std::int32_t level = 1;
    std::string realm;
    std::int64_t experience = 0;
    std::int64_t energy = 0;
    std::int64_t max_energy = 0;
    std::string status; // idle, cultivating, combat, trading, offline
    std::int64_t strength = 0;
    std::int64_t agility = 0;
    std::int64_t intelligence = 0;
    std::int64_t constitution = 0;
    std::int64_t gold = 0;
    std::int64_t spirit_stones = 0;
    std::string current_location;
    std::optional<coordinates_view> coordinates;
    std::optional<base::uuid> cultivation_session; // the running one
    base::utc_time created_at;
    base::utc_time updated_at;     // of the last event
    base::utc_time last_active_at; // of the last event of the player's own doing
    base::revision revision;       // of the last event in the stream
    base::position position;       // of the last event
    friend bool operator==(const player_view&, const player_view&) = default;
};
BOOST_DESCRIBE_STRUCT(player_view, (),
                      (id, user_id, name, level, realm, experience, energy, max_energy, status,
                       strength, agility, intelligence, constitution, gold, spirit_stones,
                       current_location, coordinates, cultivation_session, created_at, updated_at,
                       last_active_at, revision, position))

// A row of `player_techniques`, with the catalogue's name.
struct technique_view {
    std::string technique_id;
    std::string technique_name;
    std::int32_t proficiency_level = 1;
    std::int64_t proficiency_experience = 0;
    std::int32_t max_proficiency_level = 10;
    base::utc_time learned_at;
    std::optional<std::string> learned_from;
    std::int64_t times_used = 0;
    std::optional<base::utc_time> last_used_at;
    base::position position; // of the last event that changed it
    friend bool operator==(const technique_view&, const technique_view&) = default;
};
BOOST_DESCRIBE_STRUCT(technique_view, (),
                      (technique_id, technique_name, proficiency_level, proficiency_experience,
                       max_proficiency_level, learned_at, learned_from, times_used, last_used_at,
                       position))

struct technique_list {
    base::uuid player_id;
    std::vector<technique_view> items; // by technique id
    base::position position;
    friend bool operator==(const technique_list&, const technique_list&) = default;
};
BOOST_DESCRIBE_STRUCT(technique_list, (), (player_id, items, position))

// A row of `cultivation_records`: a function of the events of `cultivation-<id>` alone.
struct cultivation_view {
    base::uuid session_id;
    base::uuid player_id;
    std::string technique_id;
    std::string technique_name;
    base::utc_time start_time;
    std::optional<base::utc_time> end_time;
    std::optional<std::int64_t> duration_seconds;
    double progress = 0; // 0 to 1, four decimals
    std::int64_t experience_gained = 0;
    std::int64_t energy_consumed = 0;
    bool breakthrough_achieved = false;
    std::vector<std::string> insights_gained;
    std::string status; // active, completed, interrupted, failed
    std::optional<std::string> end_reason;
    std::optional<std::string> location;
    double weather_bonus = 1; // two decimals
    double time_bonus = 1;
    base::utc_time created_at;
    base::utc_time updated_at;
    base::revision revision;
    base::position position;
    friend bool operator==(const cultivation_view&, const cultivation_view&) = default;
};
BOOST_DESCRIBE_STRUCT(cultivation_view, (),
                      (session_id, player_id, technique_id, technique_name, start_time, end_time,
                       duration_seconds, progress, experience_gained, energy_consumed,
                       breakthrough_achieved, insights_gained, status, end_reason, location,
                       weather_bonus, time_bonus, created_at, updated_at, revision, position))

// A row of `player_statistics_totals`.
struct statistics_totals {
    base::uuid player_id;
    std::int64_t cultivation_sessions = 0;
    std::int64_t cultivation_seconds = 0;
    std::int64_t experience_from_cultivation = 0;
    std::int64_t breakthroughs = 0;
    std::int64_t combats = 0;
    std::int64_t combat_wins = 0;
    std::int64_t combat_losses = 0;
    std::int64_t experience_from_combat = 0;
    std::int64_t items = 0;
    std::int64_t equipped_items = 0;
    std::int64_t legendary_items = 0;
    std::int64_t techniques = 0;
    std::int64_t master_techniques = 0;
    base::position cultivation_position; // of the event that made the present experience
    base::position position;             // of the last event that changed any of it; 0: none did
};

// A row of the view `player_statistics`.
struct statistics_view {
    base::uuid id;
    std::string name;
    std::int32_t level = 1;
    std::string realm;
    std::int64_t experience = 0;
    std::int64_t gold = 0;
    std::int64_t spirit_stones = 0;
    std::int64_t total_cultivation_sessions = 0;
    double total_cultivation_time_hours = 0;
    std::int64_t total_experience_from_cultivation = 0;
    std::int64_t breakthroughs_achieved = 0;
    std::int64_t total_combats = 0;
    std::int64_t combat_wins = 0;
    std::int64_t combat_losses = 0;
    double combat_win_rate = 0;
    std::int64_t total_experience_from_combat = 0;
    std::int64_t total_items = 0;
    std::int64_t equipped_items = 0;
    std::int64_t legendary_items = 0;
    std::int64_t total_techniques = 0;
    std::int64_t master_level_techniques = 0;
    base::utc_time created_at;
    base::utc_time last_active_at;
    base::position position; // of the last event that changed anything above
    friend bool operator==(const statistics_view&, const statistics_view&) = default;
};
BOOST_DESCRIBE_STRUCT(statistics_view, (),
                      (id, name, level, realm, experience, gold, spirit_stones,
                       total_cultivation_sessions, total_cultivation_time_hours,
                       total_experience_from_cultivation, breakthroughs_achieved, total_combats,
                       combat_wins, combat_losses, combat_win_rate, total_experience_from_combat,
                       total_items, equipped_items, legendary_items, total_techniques,
                       master_level_techniques, created_at, last_active_at, position))

// What the view says of a player.
[[nodiscard]] statistics_view make_statistics(const player_view& player,
                                              const statistics_totals& totals);

// combat: served when the fights are.
enum class board { cultivation, level, wealth };
BOOST_DESCRIBE_ENUM(board, cultivation, level, wealth)
// Empty for a name that is no board.
[[nodiscard]] std::optional<board> parse_board(std::string_view name) noexcept;
[[nodiscard]] std::string_view name_of(board which) noexcept;

// One line of a leaderboard. Order: score downwards, then who reached it first (`position`), then
// id.
struct rank_view {
    std::int64_t rank = 0; // from 1, without ties
    base::uuid id;
    std::string name;
    std::int32_t level = 1;
    std::string realm;
    std::int64_t score = 0;
    base::position position; // of the event that made the score
    friend bool operator==(const rank_view&, const rank_view&) = default;
};
BOOST_DESCRIBE_STRUCT(rank_view, (), (rank, id, name, level, realm, score, position))

// One event of a player's history, in the original's envelope.
struct history_entry {
    base::uuid event_id;
    std::string event_type;
    base::uuid aggregate_id;
    std::string aggregate_type;
    std::uint64_t event_version = 0; // the revision
    base::utc_time timestamp;
    std::optional<std::string> causation_id;
    std::optional<std::string> correlation_id;
    base::json::object data;
    base::position position;
};
BOOST_DESCRIBE_STRUCT(history_entry, (),
                      (event_id, event_type, aggregate_id, aggregate_type, event_version, timestamp,
                       causation_id, correlation_id, data, position))

} // namespace immortal::readmodel
