// The simulation's result: figures, the original's floors, pass or fail.
#pragma once

#include "app/latency_histogram.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace immortal::app {

// The original design's floors.
constexpr double query_floor_ms = 100;
constexpr double commands_floor = 1000;
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
    [[nodiscard]] bool passed() const; // all four floors and the check, and nothing failed
};

[[nodiscard]] std::string report_table(const simulate_result& result);
[[nodiscard]] std::string report_json(const simulate_result& result);

// Hits / (hits + misses) between two texts of /metrics; empty when they lack the counters.
[[nodiscard]] std::optional<double> hit_rate_between(const std::string& before,
                                                     const std::string& after);

} // namespace immortal::app
