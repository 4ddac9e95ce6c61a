#include "game/types.hpp"

#include "game/rules.hpp"

namespace immortal::game {

attributes& attributes::operator+=(const attributes& other) {
    strength = add_capped(strength, other.strength);
    agility = add_capped(agility, other.agility);
    intelligence = add_capped(intelligence, other.intelligence);
    constitution = add_capped(constitution, other.constitution);
    max_energy = add_capped(max_energy, other.max_energy);
    return *this;
}

} // namespace immortal::game
