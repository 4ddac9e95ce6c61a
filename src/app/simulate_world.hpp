// What the simulation's workers share, and what each keeps.
#pragma once

#include "app/http_client.hpp"
#include "app/latency_histogram.hpp"
#include "app/simulate.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace immortal::app {

using steady_clock = std::chrono::steady_clock;

struct character {
    std::string player_id = {};
    std::string token = {};        // of its account
    std::string technique_id = {}; // the one it cultivates
    std::string session_id = {};   // empty: not cultivating
    base::utc_time ready_at{};     // when the session can be completed
    steady_clock::time_point no_progress_before{};
    steady_clock::time_point tired_until{}; // a start was refused for want of energy
    std::size_t location = 0;               // the last one it moved to
    steady_clock::time_point not_before{};  // a 429 said so
};

// One connection and the characters it plays. Used by its own coroutine; read after that has ended.
struct worker {
    http_client client;
    std::vector<character> characters = {};
    std::vector<std::string> locations = {};
    std::mt19937_64 dice = {};
    latency_histogram commands = {};
    latency_histogram queries = {};
    latency_histogram delays = {};
    std::map<std::string, std::uint64_t> problems = {}; // "POST /rest 409 not_tired" -> how often
};

// Thread-safe.
struct counters {
    std::atomic<std::uint64_t> accepted{0}; // commands that were carried out
    std::atomic<std::uint64_t> refused{0};  // 409: a rule of the game said no
    std::atomic<std::uint64_t> queries{0};
    std::atomic<std::uint64_t> limited{0}; // 429
    std::atomic<std::uint64_t> behind{0};  // 503 read_model_behind; asked again
    std::atomic<std::uint64_t> failed{0};  // anything else
    std::atomic<bool> stop{false};
};

// What the characters are made with.
struct set_up_plan {
    std::string run;                     // distinguishes the names of this run
    std::vector<std::string> tokens;     // one an account
    std::vector<std::string> techniques; // to learn, the simplest first
    std::vector<std::string> locations;  // where a beginner may go
};

// Registers enough accounts for `players` and logs in. Errors say which request was answered how.
awaitable<base::result<set_up_plan>> make_accounts(std::uint32_t players, http_client& client);

// Makes every character of the worker, whose tokens are set; `number` distinguishes workers.
awaitable<base::status> make_characters(worker& self, std::size_t number, const set_up_plan& plan);

// Plays until counters.stop; `workers` and `shared` outlive it.
awaitable<void> play(worker& self, counters& shared, std::uint32_t queries_per_command);

// The value of a JSON answer's string member, or empty.
[[nodiscard]] std::string text_member(const std::string& body, std::string_view name);
// The command's position, or 0.
[[nodiscard]] std::uint64_t position_member(const std::string& body);

} // namespace immortal::app
