#include "app/game_streams.hpp"

#include "accounts/audit_trail.hpp"
#include "commands/names.hpp"
#include "game/cultivation.hpp"
#include "game/home.hpp"
#include "game/player.hpp"

namespace immortal::app {

esdb::kept_families game_streams() {
    constexpr std::string_view by_commands =
        "the rules of the game change it; give a command through the HTTP API";
    constexpr std::string_view by_accounts = "the server records in it what is done with accounts";
    esdb::kept_families out;
    for (const std::string_view category : {game::player::category, game::cultivation::category}) {
        const std::string stream = std::string(category) + "-";
        out.push_back({.name = stream, .instead = by_commands});
        out.push_back({.name = game::snapshot_stream_of(stream), .instead = by_commands});
    }
    out.push_back({.name = std::string(commands::name_stream_prefix), .instead = by_commands});
    out.push_back(
        {.name = std::string(accounts::audit_stream), .whole = true, .instead = by_accounts});
    return out;
}

} // namespace immortal::app
