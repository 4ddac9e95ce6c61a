// The rungs that run in one process. Each gives the number of faults it injected, and the first
// broken promise with the arguments that repeat it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace immortal::faults {

struct rung_settings {
    std::uint64_t seed = 1;
    std::uint64_t faults = 1000; // at least so many
    std::string replay;          // as `rung_report::replay` said: only that one
};

struct rung_report {
    std::uint64_t faults = 0;
    std::map<std::string, std::uint64_t> counts; // what became of them
    std::string problem;                         // empty: every promise held
    std::string replay;
};

// A4: the power fails at every step of every combination of operations.
[[nodiscard]] rung_report crash_points(const rung_settings& settings);
// A5: the nth call to the disk fails, while the store runs or while it starts.
[[nodiscard]] rung_report failing_calls(const rung_settings& settings);
// A7: single bits of closed files flip, backups and scavenged segments among them.
[[nodiscard]] rung_report bit_flips(const rung_settings& settings);
// A8: such files are cut, emptied, deleted, older, or hold what belongs elsewhere.
[[nodiscard]] rung_report misplaced_files(const rung_settings& settings);

} // namespace immortal::faults
