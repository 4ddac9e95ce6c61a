// The streams that `immortal serve` keeps: those of the game's commands and of its accounts.
#pragma once

#include "esdb/reserved_streams.hpp"

namespace immortal::app {

// Every family of streams that the process writes beside those that begin with `$`. Who gives the
// game a stream of a new kind adds it here: clients of the event store's port only read them.
[[nodiscard]] esdb::kept_families game_streams();

} // namespace immortal::app
