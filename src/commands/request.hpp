// A command with its identity: what is derived from (account, key), and the hash that tells two
// requests under one key apart.
#pragma once

#include "commands/commands.hpp"
#include "game/home.hpp"

#include <span>
#include <string>
#include <string_view>

namespace immortal::commands {

struct request {
    actor who;
    game_command command;
    base::uuid command_id; // of (account, key)
    game::request_hash hash{};
};

[[nodiscard]] request make_request(actor who, std::string_view key, game_command command);

// The thing that the command creates.
[[nodiscard]] base::uuid created_id(const request& of);
// The id of the event at `ordinal` in the command's append.
[[nodiscard]] base::uuid event_id(const base::uuid& command_id, std::size_t ordinal);
// The kinds of commands, by their index in game_command: for metrics.
[[nodiscard]] std::span<const std::string_view> command_names();

} // namespace immortal::commands
