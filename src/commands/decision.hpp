// What a command makes of the aggregates it was given: events, next states, answer. Pure.
#pragma once

#include "commands/request.hpp"
#include "game/cultivation.hpp"
#include "game/player.hpp"

#include <string>
#include <vector>

namespace immortal::commands {

struct decision {
    game::player::events player; // never empty
    std::vector<game::cultivation::event> session;
    game::player::state next_player;
    game::cultivation::state next_session; // meant only with session events
    std::string body;                      // the answer, a JSON object as text
};

// `name`: the normalised one of create_player. `created`: id of what the command creates.
// Precondition: `player` is the actor's own (or does not exist yet, for create_player).
[[nodiscard]] game::decided<decision> decide(const request& of, const base::uuid& created,
                                             const std::string& name,
                                             const game::player::state& player,
                                             const game::cultivation::state& session,
                                             const game::context& with);

} // namespace immortal::commands
