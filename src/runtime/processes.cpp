#include "runtime/processes.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

namespace immortal::runtime {

namespace {

namespace fs = std::filesystem;

struct process_stat {
    char state = '?';
    pid_t parent = 0;
    std::uint64_t start_ticks = 0;
};

std::optional<process_stat> read_stat(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) {
        return std::nullopt;
    }
    // pid (name) state ppid ...; the name may hold anything, the last ')' ends it.
    const auto close = line.rfind(')');
    if (close == std::string::npos) {
        return std::nullopt;
    }
    std::istringstream fields(line.substr(close + 1));
    process_stat out;
    fields >> out.state >> out.parent;
    std::string skipped;
    for (int field = 5; field <= 21; ++field) { // start time is field 22 (proc(5))
        fields >> skipped;
    }
    fields >> out.start_ticks;
    return fields ? std::optional(out) : std::nullopt;
}

template <typename F>
void for_each_process(F visit) {
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator("/proc", failed)) {
        const std::string name = entry.path().filename().string();
        pid_t pid = 0;
        const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (problem == std::errc{} && end == name.data() + name.size()) {
            visit(pid);
        }
    }
}

void send_to(const std::vector<process_identity>& processes, int signal) {
    for (const process_identity& process : processes) {
        if (is_running(process)) {
            (void)kill(process.pid, signal);
            (void)kill(process.pid, SIGCONT);
        }
    }
}

} // namespace

std::string exit_status::text() const {
    return signal != 0 ? "signal " + std::to_string(signal) : "exit code " + std::to_string(code);
}

std::optional<process_identity> identity_of(pid_t pid) {
    const auto stat = read_stat(pid);
    return stat ? std::optional(process_identity{pid, stat->start_ticks}) : std::nullopt;
}

bool is_running(const process_identity& process) {
    const auto stat = read_stat(process.pid);
    return stat && stat->start_ticks == process.start_ticks && stat->state != 'Z' &&
           stat->state != 'X';
}

std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> out;
    for_each_process([&](pid_t pid) {
        const auto stat = read_stat(pid);
        if (stat && stat->parent == parent) {
            out.push_back(pid);
        }
    });
    return out;
}

std::vector<process_identity> descendants_of(pid_t ancestor) {
    std::multimap<pid_t, process_identity> by_parent;
    for_each_process([&](pid_t pid) {
        if (const auto stat = read_stat(pid)) {
            by_parent.emplace(stat->parent, process_identity{pid, stat->start_ticks});
        }
    });
    std::vector<process_identity> out;
    std::vector<pid_t> parents{ancestor};
    while (!parents.empty()) {
        const auto [begin, end] = by_parent.equal_range(parents.back());
        parents.pop_back();
        for (auto child = begin; child != end; ++child) {
            out.push_back(child->second);
            parents.push_back(child->second.pid);
        }
        by_parent.erase(begin, end); // a number that was used again meanwhile makes no circle
    }
    return out;
}

std::vector<process_identity> find_processes(std::string_view program, const std::string& folder) {
    std::vector<process_identity> out;
    std::error_code failed;
    const fs::path wanted = fs::canonical(folder, failed);
    if (failed) {
        return out;
    }
    for_each_process([&](pid_t pid) {
        std::error_code hidden;
        const fs::path base = "/proc/" + std::to_string(pid);
        const fs::path folder_of_it = fs::read_symlink(base / "cwd", hidden);
        if (hidden || folder_of_it != wanted) {
            return;
        }
        std::string file = fs::read_symlink(base / "exe", hidden).filename().string();
        constexpr std::string_view replaced = " (deleted)"; // by an upgrade
        if (file.ends_with(replaced)) {
            file.resize(file.size() - replaced.size());
        }
        const auto stat = read_stat(pid);
        if (!hidden && file == program && stat) {
            out.push_back({pid, stat->start_ticks});
        }
    });
    return out;
}

bool stop_processes(std::vector<process_identity> processes, const std::vector<stop_step>& plan,
                    std::chrono::milliseconds kill_grace) {
    std::vector<stop_step> steps = plan;
    steps.push_back({SIGKILL, kill_grace});
    const auto gone = [&processes] {
        std::erase_if(processes, [](const auto& p) { return !is_running(p); });
        return processes.empty();
    };
    for (const stop_step& step : steps) {
        if (gone()) {
            return true;
        }
        send_to(processes, step.signal);
        const auto until = std::chrono::steady_clock::now() + step.grace;
        while (!gone() && std::chrono::steady_clock::now() < until) {
            // tidy-allow(banned): no executor runs here: the guardian, or a stop that may block.
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    return gone();
}

} // namespace immortal::runtime
