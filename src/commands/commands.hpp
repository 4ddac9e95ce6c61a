// The commands of the game as plain values, who gives them, and their answer.
#pragma once

#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/uuid.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace immortal::commands {

namespace json = base::json;

// `system`: the server itself; nobody can log in as it.
BOOST_DEFINE_ENUM_CLASS(role, player, gm, admin, system)

struct actor {
    base::uuid account;
    commands::role role = role::player;
};
// Gives the commands that no player gives. `actor` in their events' metadata is "system".
[[nodiscard]] inline actor system_actor() {
    return {{}, role::system};
}
// The account's id, or "system".
[[nodiscard]] std::string text_of(const actor& who);

// Answer body: {playerId, name}. Codes: name_taken. invalid_argument (field "name"): not 1 to 24
// visible characters after NFKC normalisation.
struct create_player {
    std::string name;
};
BOOST_DESCRIBE_STRUCT(create_player, (), (name))

// Answer body: {playerId, techniqueId, learnedFrom}.
struct learn_technique {
    base::uuid player_id;
    std::string technique_id;
};
BOOST_DESCRIBE_STRUCT(learn_technique, (), (player_id, technique_id))

// Answer body: {playerId, energy}.
struct rest {
    base::uuid player_id;
};
BOOST_DESCRIBE_STRUCT(rest, (), (player_id))

// Answer body: {sessionId, playerId, startTime, readyAt, expectedDuration (game seconds),
// expectedExperience, energyCost, energy}.
struct start_cultivation {
    base::uuid player_id;
    std::string technique_id;
    std::optional<std::string> location; // empty: where the player is
};
BOOST_DESCRIBE_STRUCT(start_cultivation, (), (player_id, technique_id, location))

// Answer body: {sessionId, playerId, experienceGained (now), totalExperienceGained, currentStage,
// level, realm}.
struct progress_cultivation {
    base::uuid session_id;
};
BOOST_DESCRIBE_STRUCT(progress_cultivation, (), (session_id))

// Answer body: {sessionId, playerId, status ("completed" or "failed"), totalExperienceGained,
// breakthroughAchieved, newInsights, level, realm}.
struct complete_cultivation {
    base::uuid session_id;
};
BOOST_DESCRIBE_STRUCT(complete_cultivation, (), (session_id))

// Answer body: {sessionId, playerId, status ("interrupted"), totalExperienceGained, level, realm}.
struct interrupt_cultivation {
    base::uuid session_id;
};
BOOST_DESCRIBE_STRUCT(interrupt_cultivation, (), (session_id))

// Answer body: {playerId, location, energy}.
struct move_player {
    base::uuid player_id;
    std::string location;
};
BOOST_DESCRIBE_STRUCT(move_player, (), (player_id, location))

// --- of the system alone: forbidden for others ---

// A session whose player stays away. Answer body as complete_cultivation.
struct complete_unattended {
    base::uuid session_id;
};
BOOST_DESCRIBE_STRUCT(complete_unattended, (), (session_id))

// Forgets the person: interrupts a running session, erases the player's name and gives it back.
// Answer body: {playerId}.
struct erase_player {
    base::uuid player_id;
};
BOOST_DESCRIBE_STRUCT(erase_player, (), (player_id))

using game_command = std::variant<create_player, learn_technique, rest, start_cultivation,
                                  progress_cultivation, complete_cultivation, interrupt_cultivation,
                                  move_player, complete_unattended, erase_player>;

struct outcome {
    json::object body; // the same, byte for byte, for every repetition; integers and text only
    base::position position; // of the command's last event
    bool repeated = false;   // the command had been done before: this is its first answer
};

constexpr std::size_t idempotency_key_size_max = 255; // bytes; 1 at least

} // namespace immortal::commands
