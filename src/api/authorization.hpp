// Who may see what of a player: the one place that decides it.
//
// Every logged-in account sees a player's public part (`public_player`), statistics and ranks.
// Everything else of a player (purse, energy, sessions, techniques, history) is for its owner and
// for game masters. Acting for a player is decided by the commands module.
#pragma once

#include "api/route.hpp"
#include "api/services.hpp"
#include "readmodel/rows.hpp"
#include "readmodel/views.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace immortal::api {

struct public_player {
    base::uuid id;
    std::string name;
    std::int32_t level = 1;
    std::string realm;
    std::int64_t experience = 0;
    std::string status;
    std::string current_location;
    base::utc_time created_at;
    base::utc_time last_active_at;
    base::revision revision;
    base::position position;
};
BOOST_DESCRIBE_STRUCT(public_player, (),
                      (id, name, level, realm, experience, status, current_location, created_at,
                       last_active_at, revision, position))

[[nodiscard]] public_player public_part(const readmodel::player_view& of);

// `payload`: the JSON text of a player_view.
[[nodiscard]] bool may_see_all(const caller& who, std::string_view payload);
[[nodiscard]] bool may_see_all(const caller& who, const readmodel::player_view& player);

// The player as the read model knows it. Errors: not_found, and those of the view.
awaitable<base::result<readmodel::view>> find_player(const services& uses, base::uuid player,
                                                     std::optional<base::position> after);

// Refuses (forbidden) callers who may not see all of the player. Errors: not_found too.
awaitable<base::status> require_full_sight(const services& uses, const call& c, base::uuid player);

} // namespace immortal::api
