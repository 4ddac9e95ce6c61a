// Processes of the machine, as /proc shows them.
#pragma once

#include "runtime/process_spec.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::runtime {

// A process, named so that a later one with the same pid is not taken for it.
struct process_identity {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0; // since the machine's start
};

[[nodiscard]] std::optional<process_identity> identity_of(pid_t pid); // empty: no such process
[[nodiscard]] bool is_running(const process_identity& process);       // false for a zombie

[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);
// Its children, their children, and so on.
[[nodiscard]] std::vector<process_identity> descendants_of(pid_t ancestor);

// Processes whose program file is called `program` and whose working folder is `folder`: what a
// former run of ours left behind. Only processes this account may look into are found.
[[nodiscard]] std::vector<process_identity> find_processes(std::string_view program,
                                                           const std::string& folder);

// Sends the signals of `plan` in turn, then SIGKILL, until none of `processes` runs. False if some
// still run `kill_grace` after that.
bool stop_processes(std::vector<process_identity> processes, const std::vector<stop_step>& plan,
                    std::chrono::milliseconds kill_grace = std::chrono::seconds(5));

} // namespace immortal::runtime
