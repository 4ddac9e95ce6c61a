// The reference data: techniques, realms, locations, items, monsters, insights. Files of /catalog,
// built into the program. Immutable once loaded; thread-safe.
#pragma once

#include "base/embedded_file.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "game/types.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace immortal::game {

struct localized {
    std::string zh;
    std::string en;
};
BOOST_DESCRIBE_STRUCT(localized, (), (zh, en))

struct technique {
    std::string technique_id;
    localized name;
    localized description;
    game::technique_type technique_type = technique_type::cultivation;
    std::int32_t level_requirement = 1;
    std::optional<std::string> realm_requirement; // Chinese name of a realm
    std::vector<std::string> prerequisite_techniques;
    std::int64_t cultivation_time_hours = 1; // of game time
    std::int64_t energy_cost = 10;
    std::int64_t experience_gain = 100; // of one whole session, before bonuses
    double damage_multiplier = 1;
    std::int64_t energy_cost_combat = 5;
    std::int64_t cooldown_seconds = 0;
    base::json::object effects;
    attributes passive_bonuses; // granted when it is learned
    std::vector<std::string> obtainable_from;
    game::rarity rarity = rarity::common;
};
BOOST_DESCRIBE_STRUCT(technique, (),
                      (technique_id, name, description, technique_type, level_requirement,
                       realm_requirement, prerequisite_techniques, cultivation_time_hours,
                       energy_cost, experience_gain, damage_multiplier, energy_cost_combat,
                       cooldown_seconds, effects, passive_bonuses, obtainable_from, rarity))

// What it takes to leave a realm upwards. Absent in the last realm.
struct breakthrough {
    std::int64_t chance_percent = 50;
    std::int64_t proficiency_requirement = 1; // level in the technique of the session
    std::int64_t spirit_stones_reward = 0;
    attributes bonus; // on top of the gains of the new level
};
BOOST_DESCRIBE_STRUCT(breakthrough, (),
                      (chance_percent, proficiency_requirement, spirit_stones_reward, bonus))

struct realm {
    std::string realm_id;
    localized name; // events and rows carry name.zh
    std::int32_t first_level = 1;
    std::int32_t last_level = 1;
    std::int64_t experience_factor = 1; // see rules.hpp, level_cost
    attributes gains_per_level;
    std::optional<game::breakthrough> breakthrough;
};
BOOST_DESCRIBE_STRUCT(realm, (),
                      (realm_id, name, first_level, last_level, experience_factor, gains_per_level,
                       breakthrough))

struct location {
    std::string location_id;
    localized name;
    localized description;
    std::int64_t cultivation_bonus_percent = 100;
    std::int32_t level_requirement = 1;
    game::coordinates coordinates;
};
BOOST_DESCRIBE_STRUCT(location, (),
                      (location_id, name, description, cultivation_bonus_percent, level_requirement,
                       coordinates))

struct item {
    std::string item_id;
    localized name;
    localized description;
    game::item_type item_type = item_type::material;
    game::rarity rarity = rarity::common;
    std::int32_t level_requirement = 1;
    std::optional<std::string> realm_requirement;
    base::json::object effects;
    base::json::object stats_bonus;
    std::int64_t base_price = 0;
    std::int64_t max_stack_size = 1;
    std::vector<std::string> obtainable_from;
    std::optional<std::string> icon_url; // key of an asset
    bool is_tradeable = true;
    bool is_consumable = false;
};
BOOST_DESCRIBE_STRUCT(item, (),
                      (item_id, name, description, item_type, rarity, level_requirement,
                       realm_requirement, effects, stats_bonus, base_price, max_stack_size,
                       obtainable_from, icon_url, is_tradeable, is_consumable))

struct monster {
    std::string monster_id;
    localized name;
    localized description;
    std::int32_t level = 1;
    std::string realm;
    std::string location; // where it lives
    bool is_boss = false;
    attributes stats;
    std::int64_t experience_reward = 0;
    std::int64_t gold_reward = 0;
    std::vector<std::string> drops; // item ids
};
BOOST_DESCRIBE_STRUCT(monster, (),
                      (monster_id, name, description, level, realm, location, is_boss, stats,
                       experience_reward, gold_reward, drops))

class catalog {
public:
    // Checks every entry and every reference between them. Errors: invalid_argument, naming file
    // and entry.
    [[nodiscard]] static base::result<catalog> load(std::span<const base::embedded_file> files);
    // What is built into the program; loaded at the first call.
    [[nodiscard]] static const catalog& builtin();

    [[nodiscard]] std::span<const technique> techniques() const { return techniques_; }
    [[nodiscard]] std::span<const realm> realms() const { return realms_; } // lowest first
    [[nodiscard]] std::span<const location> locations() const { return locations_; }
    [[nodiscard]] std::span<const item> items() const { return items_; }
    [[nodiscard]] std::span<const monster> monsters() const { return monsters_; }
    [[nodiscard]] std::span<const localized> insights() const { return insights_; } // at least one

    // Null if there is none.
    [[nodiscard]] const technique* find_technique(std::string_view id) const;
    [[nodiscard]] const location* find_location(std::string_view id) const;
    [[nodiscard]] const item* find_item(std::string_view id) const;
    [[nodiscard]] const monster* find_monster(std::string_view id) const;
    [[nodiscard]] const realm* find_realm(std::string_view name_zh) const;
    [[nodiscard]] std::size_t realm_index(std::string_view name_zh) const; // npos if unknown
    static constexpr std::size_t npos = static_cast<std::size_t>(-1);

    [[nodiscard]] std::int32_t level_max() const { return realms_.back().last_level; }
    // Experience a player needs in total to stand at `level` (1 to level_max()); see rules.hpp.
    [[nodiscard]] std::int64_t experience_at(std::int32_t level) const;

    // Hexadecimal hash over all files: which catalogue is in force.
    [[nodiscard]] const std::string& version() const { return version_; }

private:
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    using index = std::unordered_map<std::string, std::size_t, text_hash, std::equal_to<>>;
    friend class catalog_loader;

    catalog() = default;

    std::vector<technique> techniques_;
    std::vector<realm> realms_;
    std::vector<location> locations_;
    std::vector<item> items_;
    std::vector<monster> monsters_;
    std::vector<localized> insights_;
    index technique_index_, location_index_, item_index_, monster_index_;
    std::vector<std::int64_t> experience_at_; // [level - 1]
    std::string version_;
};

} // namespace immortal::game
