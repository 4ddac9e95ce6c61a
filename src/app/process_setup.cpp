#include "app/process_setup.hpp"

#include "app/cli.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace immortal::app {

namespace {

void take_closed_descriptors() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)!open("/dev/null", O_RDONLY); // the lowest free number is this one
        }
    }
}

void forget_variables(const std::function<bool(std::string_view name)>& unwanted) {
    std::vector<std::string> names;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        if (const auto name = text.substr(0, text.find('=')); unwanted(name)) {
            names.emplace_back(name);
        }
    }
    for (const std::string& name : names) {
        unsetenv(name.c_str());
    }
}

bool concerns_grpc(std::string_view name) {
    std::string lower(name);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return lower.ends_with("_proxy") ||
           (lower.starts_with("grpc_") && lower != "grpc_default_ssl_roots_file_path");
}

// Of a signal: nothing here that may not be called then.
void end_before_start(int) {
    constexpr std::string_view text = "immortal: stopped before it was up.\n";
    (void)!write(STDERR_FILENO, text.data(), text.size());
    _exit(exit_success);
}

} // namespace

void end_at_stop_signals() {
    for (const int number : {SIGINT, SIGTERM}) {
        (void)std::signal(number, &end_before_start);
    }
}

void prepare_process() {
    take_closed_descriptors();
    for (const int number : {SIGPIPE, SIGXFSZ, SIGHUP}) {
        (void)std::signal(number, SIG_IGN);
    }
    (void)std::signal(SIGCHLD, SIG_DFL);
    umask(077);
    forget_variables(concerns_grpc);
}

void forget_postgres_environment() {
    forget_variables([](std::string_view name) { return name.starts_with("PG"); });
}

} // namespace immortal::app
