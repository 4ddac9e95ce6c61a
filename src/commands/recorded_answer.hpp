// What a command left on its home stream: where it stands, and the answer it was given.
#pragma once

#include "commands/service.hpp"
#include "eventstore/event_store.hpp"
#include "game/home.hpp"

#include <optional>
#include <string>

namespace immortal::commands {

// The record of `command` if it created `stream`: read from the stream's first events, so however
// long ago that was. Errors: those of read_stream.
awaitable<base::result<std::optional<game::command_record>>>
find_creation(eventstore::event_store& store, std::string stream, base::uuid command);

// The answer in the first event of the command. Errors: those of read_stream; corrupt.
awaitable<base::result<outcome>> read_answer(eventstore::event_store& store, std::string stream,
                                             game::command_record of);

} // namespace immortal::commands
