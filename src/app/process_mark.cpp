#include "app/process_mark.hpp"

#include "runtime/processes.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>

namespace immortal::app {
namespace {

namespace fs = std::filesystem;

// Within it a process number together with a start time names one process; empty: unknown.
std::string scope() {
    std::error_code failed;
    // In a name space of its own, but with the /proc of another one, numbers mean other processes.
    if (fs::read_symlink("/proc/self", failed) != std::to_string(getpid())) {
        return {};
    }
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string boot;
    std::getline(file, boot);
    const fs::path processes = fs::read_symlink("/proc/self/ns/pid", failed);
    // Start times are told by it; kernels without it have one for all.
    const fs::path times = fs::read_symlink("/proc/self/ns/time", failed);
    return boot.empty() || processes.empty() ? std::string()
                                             : fmt::format("{} {} {}", boot, processes.string(),
                                                           times.empty() ? "time" : times.string());
}

std::string mark_of(const std::string& scope, const runtime::process_identity& process) {
    return fmt::format("{} {} {}", scope, process.pid, process.start_ticks);
}

} // namespace

std::string process_mark() {
    const std::string here = scope();
    const auto self = runtime::identity_of(getpid());
    return here.empty() || !self ? std::string() : mark_of(here, *self);
}

bool is_process_gone(std::string_view mark) {
    const std::string here = scope();
    if (here.empty() || !mark.starts_with(here + " ")) {
        return false;
    }
    const char* const end = mark.data() + mark.size();
    runtime::process_identity process;
    const auto number = std::from_chars(mark.data() + here.size() + 1, end, process.pid);
    if (number.ec != std::errc() || number.ptr == end || process.pid <= 0) {
        return false;
    }
    const auto start = std::from_chars(number.ptr + 1, end, process.start_ticks);
    if (start.ec != std::errc() || start.ptr != end || mark != mark_of(here, process)) {
        return false;
    }
    if (kill(process.pid, 0) != 0 && errno == ESRCH) {
        return true;
    }
    // Processes of other accounts may be hidden in /proc.
    return runtime::identity_of(process.pid) && !runtime::is_running(process);
}

} // namespace immortal::app
