// What a child process is: its program, account, folder, log and the way it is stopped.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace immortal::runtime {

// An account of the machine.
struct account {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name; // its supplementary groups are taken
};

// One step of ending a process: a signal, and how long it may take before the next step.
struct stop_step {
    int signal = SIGTERM;
    std::chrono::milliseconds grace{5000};
};

struct process_spec {
    std::string program; // absolute path
    std::vector<std::string> arguments;
    std::vector<std::string> environment; // "NAME=value"; the whole environment
    std::string working_folder = "/";
    std::string log_file;          // standard output and error are appended; empty: /dev/null
    std::optional<account> run_as; // needs root; empty: the account of this process
    // Tried in order; SIGKILL follows when they have not helped. The first signal is also sent by
    // the kernel should the guardian itself be killed.
    std::vector<stop_step> stop_plan = {{SIGTERM, std::chrono::seconds(5)}};
};

struct exit_status {
    int code = 0;   // of exit(), if `signal` is 0
    int signal = 0; // that ended it
    [[nodiscard]] bool success() const { return code == 0 && signal == 0; }
    [[nodiscard]] std::string text() const; // "exit code 1", "signal 9"
};

} // namespace immortal::runtime
