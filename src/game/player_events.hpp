// The events of `player-<id>`. Every time in them is UTC with milliseconds.
#pragma once

#include "base/uuid.hpp"
#include "game/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace immortal::game::player {

struct player_created {
    static constexpr const char* type_name = "PlayerCreated";
    base::uuid player_id;
    base::uuid user_id;
    std::string player_name;
    std::string initial_realm;
    std::int32_t initial_level = 1;
    attributes initial_attributes;
    std::int64_t initial_energy = 0;
    std::int64_t initial_gold = 0;
    std::int64_t initial_spirit_stones = 0;
    std::string initial_location;
    std::optional<game::coordinates> initial_coordinates;
    base::utc_time created_at;
};
BOOST_DESCRIBE_STRUCT(player_created, (),
                      (player_id, user_id, player_name, initial_realm, initial_level,
                       initial_attributes, initial_energy, initial_gold, initial_spirit_stones,
                       initial_location, initial_coordinates, created_at))

struct player_level_up {
    static constexpr const char* type_name = "PlayerLevelUp";
    base::uuid player_id;
    std::int32_t old_level = 0;
    std::int32_t new_level = 0;
    std::string old_realm;
    std::string new_realm;
    std::int64_t experience_gained = 0; // by the grant that led to it
    attributes attribute_gains;
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(player_level_up, (),
                      (player_id, old_level, new_level, old_realm, new_realm, experience_gained,
                       attribute_gains, timestamp))

struct player_energy_changed {
    static constexpr const char* type_name = "PlayerEnergyChanged";
    base::uuid player_id;
    std::int64_t old_energy = 0;
    std::int64_t new_energy = 0;
    energy_reason change_reason = energy_reason::system;
    std::optional<base::utc_time> regenerated_until; // with reason regeneration
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(player_energy_changed, (),
                      (player_id, old_energy, new_energy, change_reason, regenerated_until,
                       timestamp))

struct player_moved {
    static constexpr const char* type_name = "PlayerMoved";
    base::uuid player_id;
    std::string old_location;
    std::string new_location;
    std::optional<game::coordinates> coordinates;
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(player_moved, (),
                      (player_id, old_location, new_location, coordinates, timestamp))

struct player_status_changed {
    static constexpr const char* type_name = "PlayerStatusChanged";
    base::uuid player_id;
    player_status old_status = player_status::idle;
    player_status new_status = player_status::idle;
    std::optional<base::uuid> session_id; // with new status cultivating: the session
    base::utc_time timestamp;
    // Only when it came about without the player: when the player was last active.
    std::optional<base::utc_time> last_active_at;
};
BOOST_DESCRIBE_STRUCT(player_status_changed, (),
                      (player_id, old_status, new_status, session_id, timestamp, last_active_at))

struct currency_changed {
    static constexpr const char* type_name = "CurrencyChanged";
    base::uuid player_id;
    game::currency currency = currency::gold;
    std::int64_t old_amount = 0;
    std::int64_t new_amount = 0;
    currency_reason reason = currency_reason::system;
    std::optional<std::string> source; // id of the session, fight, trade
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(currency_changed, (),
                      (player_id, currency, old_amount, new_amount, reason, source, timestamp))

struct experience_gained {
    static constexpr const char* type_name = "ExperienceGained";
    base::uuid player_id;
    std::int64_t amount = 0;
    std::int64_t total_experience = 0; // afterwards
    experience_source source = experience_source::system;
    std::optional<std::string> source_id;
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(experience_gained, (),
                      (player_id, amount, total_experience, source, source_id, timestamp))

struct attributes_changed {
    static constexpr const char* type_name = "AttributesChanged";
    base::uuid player_id;
    attributes attribute_gains;
    attributes_reason reason = attributes_reason::system;
    std::optional<std::string> source; // technique or item id
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(attributes_changed, (),
                      (player_id, attribute_gains, reason, source, timestamp))

struct technique_learned {
    static constexpr const char* type_name = "TechniqueLearned";
    base::uuid player_id;
    std::string technique_id;
    std::string learned_from; // master, book, enlightenment, system
    std::int64_t max_proficiency_level = 10;
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(technique_learned, (),
                      (player_id, technique_id, learned_from, max_proficiency_level, timestamp))

// Also the record of one use.
struct technique_proficiency_gained {
    static constexpr const char* type_name = "TechniqueProficiencyGained";
    base::uuid player_id;
    std::string technique_id;
    std::int64_t amount = 0;
    std::int64_t proficiency_experience = 0; // afterwards
    std::int64_t proficiency_level = 1;      // afterwards
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(technique_proficiency_gained, (),
                      (player_id, technique_id, amount, proficiency_experience, proficiency_level,
                       timestamp))

struct realm_breakthrough_attempted {
    static constexpr const char* type_name = "RealmBreakthroughAttempted";
    base::uuid player_id;
    std::string session_id;
    std::string from_realm;
    std::string to_realm;
    std::int64_t chance_percent = 0;
    std::int64_t roll = 0; // 0 .. 99; below the chance it succeeds
    bool succeeded = false;
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(realm_breakthrough_attempted, (),
                      (player_id, session_id, from_realm, to_realm, chance_percent, roll, succeeded,
                       timestamp))

// The person asked for erasure: the name is gone from the state; the game's facts stay.
struct player_erased {
    static constexpr const char* type_name = "PlayerErased";
    base::uuid player_id;
    base::utc_time erased_at;
};
BOOST_DESCRIBE_STRUCT(player_erased, (), (player_id, erased_at))

using event = std::variant<player_created, player_level_up, player_energy_changed, player_moved,
                           player_status_changed, currency_changed, experience_gained,
                           attributes_changed, technique_learned, technique_proficiency_gained,
                           realm_breakthrough_attempted, player_erased>;

} // namespace immortal::game::player
