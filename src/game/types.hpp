// The small vocabulary of the game's events. The enumerators' names are what stands in the events.
#pragma once

#include "base/json.hpp"

#include <cstdint>

namespace immortal::game {

BOOST_DEFINE_ENUM_CLASS(player_status, idle, cultivating, combat, trading, offline)
BOOST_DEFINE_ENUM_CLASS(energy_reason, cultivation, combat, rest, item_use, regeneration, system)
BOOST_DEFINE_ENUM_CLASS(experience_source, cultivation, combat, item, quest, system)
BOOST_DEFINE_ENUM_CLASS(currency, gold, spirit_stones)
BOOST_DEFINE_ENUM_CLASS(currency_reason, creation, breakthrough, combat, trade, quest, system)
BOOST_DEFINE_ENUM_CLASS(attributes_reason, technique, item, system)
BOOST_DEFINE_ENUM_CLASS(technique_type, cultivation, combat, movement, utility, passive)
BOOST_DEFINE_ENUM_CLASS(item_type, weapon, armor, accessory, consumable, material, technique,
                        treasure)
BOOST_DEFINE_ENUM_CLASS(rarity, common, uncommon, rare, epic, legendary, mythical)
BOOST_DEFINE_ENUM_CLASS(weather, clear, rain, mist, thunder, snow, spirit_tide)
BOOST_DEFINE_ENUM_CLASS(session_status, active, completed, interrupted, failed)

// A sum of attributes; in an event it says by how much they grow.
struct attributes {
    std::int64_t strength = 0;
    std::int64_t agility = 0;
    std::int64_t intelligence = 0;
    std::int64_t constitution = 0;
    std::int64_t max_energy = 0;

    attributes& operator+=(const attributes& other);
    friend bool operator==(const attributes&, const attributes&) = default;
};
BOOST_DESCRIBE_STRUCT(attributes, (), (strength, agility, intelligence, constitution, max_energy))

struct coordinates {
    double x = 0;
    double y = 0;
    friend bool operator==(const coordinates&, const coordinates&) = default;
};
BOOST_DESCRIBE_STRUCT(coordinates, (), (x, y))

} // namespace immortal::game
