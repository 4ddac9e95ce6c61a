// The stream `player_name-<hash>`: who holds a name. Events: PlayerNameReserved {playerId},
// PlayerNameReleased {playerId}; the last one counts.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "eventstore/event_store.hpp"

#include <optional>
#include <string>

namespace immortal::commands {

constexpr const char* name_reserved_type = "PlayerNameReserved";
constexpr const char* name_released_type = "PlayerNameReleased";

struct reservation {
    std::optional<base::uuid> player;       // who holds the name; empty: it is free
    std::optional<base::revision> revision; // of the stream; empty: never written
};

// Errors: those of read_stream; corrupt (an event that names no player).
[[nodiscard]] boost::asio::awaitable<base::result<reservation>>
read_reservation(eventstore::event_store& store, std::string stream);

} // namespace immortal::commands
