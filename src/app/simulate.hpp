// `immortal simulate`: plays the game through the HTTP interface like real clients and measures it.
//
// Set-up, outside the measured time: a few accounts, each with many characters; every character
// learns one technique. Then `connections` keep-alive connections play them in turn, each character
// at most 18 times a second (the server lets one character do 20).
// One turn is one command and `queries_per_command` queries:
//   command   whatever the character can do now: start a cultivation, make progress, complete it
//             (interrupt it when it would take longer than a minute), rest when the energy is used
//             up, move to another place (one command in ten, and while there is no energy)
//   queries   60 % the character itself, 15 % statistics, 10 % techniques, 10 % the first page of
//             the cultivation leaderboard, 5 % the character's rank on it
// After one command in 50 a query with ?after= the command's position measures the delay of the
// read model. The server's rate limits stay on: on this machine every four connections come from a
// loopback address of their own (127.0.0.2, ...), as players do from theirs; an answer 429 is
// counted and its Retry-After kept.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace immortal::app {

constexpr std::uint32_t simulate_players_max = 100'000;

struct simulate_options {
    std::string url = "http://127.0.0.1:8080";
    std::uint32_t players = 200;   // 1 to simulate_players_max
    std::uint32_t seconds = 20;    // at least 1
    std::uint32_t connections = 0; // 0: one a player, at most 32
    std::uint32_t queries_per_command = 3;
    std::uint64_t seed = 0; // 0: a new one, printed
    bool json = false;      // the result as one JSON object on standard output

    // Compares log, read model and cache of the server and says whether they agree; called once,
    // after the measured time. Empty: the result says "not run" and the simulation fails.
    std::function<base::result<bool>()> check;
};

// Blocks until the simulation is over; progress and result go to the terminal. 0: the four floors
// of the original design (simulate_report.hpp) are held and the check found nothing; 1 otherwise.
// SIGINT ends the measured time early. Not from a coroutine.
[[nodiscard]] int run_simulate(simulate_options options);

} // namespace immortal::app
