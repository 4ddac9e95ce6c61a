// The simulation's result: figures, the original's floors, pass or fail.
#pragma once

#include "app/latency_histogram.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace immortal::app {

// The original design's floors. That of the commands is for a server with many players: fewer than
// 200 cannot give so many, as each waits for the game and for its own answers, and are judged by
// what each of them does.
constexpr double query_floor_ms = 100;
constexpr double commands_floor = 1000; // a second
constexpr double player_commands_floor = 5;
constexpr double hit_rate_floor = 0.90;
constexpr double delay_floor_ms = 1000;

struct simulate_result {
    std::uint32_t players = 0;
    std::uint32_t connections = 0;
    double seconds = 0;
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::uint64_t query_count = 0;
    std::uint64_t limited = 0;
    std::uint64_t failed = 0;
    latency_histogram commands = {};
    latency_histogram queries = {};
    latency_histogram delays = {};
    std::optional<double> hit_rate = {};   // of the measured time; empty: the server does not say
    std::optional<bool> check_passed = {}; // empty: not run
    std::string check_problem = {};
    std::map<std::string, std::uint64_t> problems = {};

    [[nodiscard]] double commands_per_second() const;
    [[nodiscard]] double commands_per_second_min() const; // the floor for so many players
    [[nodiscard]] bool passed() const; // all four floors and the check, and nothing failed
};

[[nodiscard]] std::string report_table(const simulate_result& result);
[[nodiscard]] std::string report_json(const simulate_result& result);

// Hits / (hits + misses) between two texts of /metrics; empty when they lack the counters.
[[nodiscard]] std::optional<double> hit_rate_between(const std::string& before,
                                                     const std::string& after);

} // namespace immortal::app
