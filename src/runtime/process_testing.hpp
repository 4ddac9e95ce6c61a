// A small language for tests that start processes. Header of tests only.
#pragma once

#include "runtime/guardian.hpp"
#include "runtime/processes.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace immortal::runtime::testing_language {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto patience = 60s; // far more than anything here takes

inline bool eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

// A folder that every account can enter, gone with the object.
class temporary_folder {
public:
    temporary_folder() {
        std::string pattern = "/tmp/imt.XXXXXX";
        path = mkdtemp(pattern.data());
        chmod(path.c_str(), 0755);
    }
    ~temporary_folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    fs::path path;
};

inline std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline process_spec shell(const std::string& script, const fs::path& log = {}) {
    process_spec spec;
    spec.program = "/bin/sh";
    spec.arguments = {"-c", script};
    spec.environment = {"PATH=/usr/bin:/bin", "GREETING=hello"};
    spec.log_file = log.string();
    return spec;
}

// A server process of its own: runs `body` in a forked process, which reports pids through
// `report`, and then lives until it is killed.
class forked_server {
public:
    explicit forked_server(const std::function<std::vector<pid_t>()>& body) {
        int ends[2];
        if (pipe(ends) != 0) {
            std::abort();
        }
        pid = fork();
        if (pid == 0) {
            const std::vector<pid_t> pids = body();
            (void)!write(ends[1], pids.data(), pids.size() * sizeof(pid_t));
            close(ends[1]);
            for (;;) {
                pause();
            }
        }
        close(ends[1]);
        pid_t reported = 0;
        while (read(ends[0], &reported, sizeof reported) == sizeof reported) {
            children.push_back(identity_of(reported).value_or(process_identity{}));
        }
        close(ends[0]);
    }
    ~forked_server() { end(SIGKILL); }
    forked_server(const forked_server&) = delete;
    forked_server& operator=(const forked_server&) = delete;

    void end(int signal) {
        if (pid > 0) {
            kill(pid, signal);
            waitpid(pid, nullptr, 0);
            pid = -1;
        }
    }

    pid_t pid = -1;
    std::vector<process_identity> children;
};

inline bool all_ended(const std::vector<process_identity>& processes) {
    for (const auto& process : processes) {
        if (is_running(process)) {
            return false;
        }
    }
    return true;
}

} // namespace immortal::runtime::testing_language
