// immortal serve
#include "app/cli.hpp"
#include "app/esdb_options.hpp"
#include "app/server.hpp"
#include "app/stop_signals.hpp"
#include "app/tool.hpp"
#include "app/version.hpp"
#include "base/json.hpp"
#include "base/log.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <netdb.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace immortal::app {

namespace json = base::json;

namespace {

// Before anything is started: most refusals of a port are seen here, at once. (The listener itself
// finds the others.)
base::status check_port(const settings& options) {
    if (options.http.port == 0) {
        return {};
    }
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(options.http.port);
    if (getaddrinfo(options.http.address.c_str(), port.c_str(), &hints, &found) != 0) {
        return base::fail(base::errc::invalid_argument,
                          "http.address must be a numeric address, such as 127.0.0.1, and not '" +
                              options.http.address + "'.");
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return {};
    }
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const bool good = bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    const int reason = errno;
    close(fd);
    if (good) {
        return {};
    }
    const std::string where = options.http.address + ":" + port;
    return base::fail(base::errc::unavailable,
                      reason == EADDRINUSE
                          ? "The port " + port + " on " + options.http.address +
                                " is taken by another program; choose one with --http-port."
                          : "The address " + where + " cannot be used: " +
                                std::error_code(reason, std::generic_category()).message() + ".");
}

base::status check_ports(const settings& options) {
    auto free = check_port(options);
    return free && options.event_store.uri.empty() ? check_esdb(options) : free;
}

std::string url_of(const settings& options, std::uint16_t port) {
    std::string host = options.http.address;
    if (host == "0.0.0.0") {
        host = "127.0.0.1";
    } else if (host == "::") {
        host = "::1";
    }
    return host.find(':') != std::string::npos ? fmt::format("http://[{}]:{}", host, port)
                                               : fmt::format("http://{}:{}", host, port);
}

std::vector<service_line> all_lines(const data_folder& folder, const server& running) {
    std::vector<service_line> lines{{"event store", "embedded", folder.events().string()}};
    for (auto& line : running.service_lines()) {
        lines.push_back(std::move(line));
    }
    return lines;
}

// This program as a shell finds it, in quotes where it must be.
std::string shell_word(const std::string& text) {
    constexpr auto plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:[]+,=@";
    if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) {
        return text;
    }
    std::string out = "'";
    for (const char c : text) {
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return out + "'";
}

// `path` as it is written shortest where the program was started.
std::string from_here(const std::filesystem::path& path) {
    std::error_code failed;
    const auto relative = std::filesystem::proximate(path, failed);
    if (failed || relative.empty() || *relative.begin() == "..") {
        return path.string();
    }
    return relative.has_parent_path() ? relative.string() : "./" + relative.string();
}

std::string own_path() {
    std::error_code failed;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
    return failed ? "immortal" : from_here(path);
}

void print_examples(const std::string& url) {
    constexpr auto json_header = "-H 'Content-Type: application/json'";
    fmt::print("Try it in another terminal:\n\n");
    fmt::print(
        "curl -s {}/v1/users {} -d '{{\"username\":\"hanli\",\"email\":\"hanli@example.com\","
        "\"password\":\"seven mysteries valley\"}}'\n",
        url, json_header);
    fmt::print(
        "TOKEN=$(curl -s {}/v1/sessions {} -d '{{\"username\":\"hanli\",\"password\":\"seven "
        "mysteries valley\"}}' | grep -o '\"token\": *\"[^\"]*' | cut -d'\"' -f4)\n",
        url, json_header);
    fmt::print("curl -s {}/v1/players -H \"Authorization: Bearer $TOKEN\" {} "
               "-d \"{{\\\"name\\\":\\\"韩立$RANDOM\\\"}}\"\n\n",
               url, json_header);
}

void print_screen(const data_folder& folder, const std::string& url,
                  const std::vector<service_line>& lines) {
    fmt::print("\nImmortality {} is running.\n\n", version_text());
    fmt::print("  {:<12} {}\n", "HTTP", url);
    for (const service_line& line : lines) {
        fmt::print("  {:<12} {:<24} {}\n", line.name, line.how, line.where);
    }
    fmt::print("  {:<12} {:<24} {}\n\n", "logs", "", folder.logs().string());
    print_examples(url);
    fmt::print("Let 200 players play for 20 seconds:\n\n");
    fmt::print("{} simulate --url {} --data {} --players 200 --seconds 20\n\n",
               shell_word(own_path()), shell_word(url), shell_word(from_here(folder.path())));
    fmt::print("Ctrl-C stops everything.\n");
    std::fflush(stdout);
}

void print_json(const data_folder& folder, const std::string& url,
                const std::vector<service_line>& lines) {
    json::array services;
    for (const service_line& line : lines) {
        services.push_back(
            json::object{{"name", line.name}, {"how", line.how}, {"where", line.where}});
    }
    fmt::print("{}\n", base::json_text(json::object{{"version", version_text()},
                                                    {"url", url},
                                                    {"data", folder.path().string()},
                                                    {"processId", getpid()},
                                                    {"services", std::move(services)}}));
    std::fflush(stdout);
}

base::result<std::unique_ptr<server>> start_and_announce(const data_folder& folder,
                                                         runtime::guardian& parent,
                                                         const settings& options, bool as_json) {
    auto started = server::start(folder, parent, options);
    if (started) {
        const std::string url = url_of(options, (*started)->port());
        (as_json ? print_json : print_screen)(folder, url, all_lines(folder, **started));
        print_first_password((*started)->first_administrator());
    }
    return started;
}

// Waits for the start, and for signals: Ctrl-C ends a start too. Null: it was given up.
base::result<std::unique_ptr<server>>
await_start(std::future<base::result<std::unique_ptr<server>>> starting, runtime::guardian& parent,
            const stop_signals& signals, bool& stop_wanted) {
    constexpr auto nearly_done = std::chrono::seconds(2);
    while (starting.wait_for(std::chrono::milliseconds(0)) != std::future_status::ready) {
        if (signals.wait(std::chrono::milliseconds(20)) == 0) {
            continue;
        }
        stop_wanted = true;
        if (starting.wait_for(nearly_done) != std::future_status::ready) {
            parent.shut_down(); // what the start waits for ends, and so does the start
            (void)starting.get();
            return nullptr;
        }
    }
    return starting.get();
}

int serve_until_stopped(const data_folder& folder, runtime::guardian& parent,
                        const settings& options, const stop_signals& signals, bool as_json) {
    bool stop_wanted = false;
    auto started = await_start(std::async(std::launch::async, start_and_announce, std::cref(folder),
                                          std::ref(parent), std::cref(options), as_json),
                               parent, signals, stop_wanted);
    if (!started) {
        return report(started.error());
    }
    if (*started == nullptr) {
        fmt::print(stderr, "immortal: stopped before it was up.\n");
        return exit_failure;
    }
    int code = exit_success;
    while (!stop_wanted && code == exit_success) {
        stop_wanted = signals.wait(std::chrono::milliseconds(500)) != 0;
        if (parent.lost()) {
            code = report({base::errc::unavailable,
                           "The guardian process was killed; the managed services end with it, so "
                           "the server stops. Start it again."});
        }
    }
    if (!as_json) {
        fmt::print("Stopping.\n");
        std::fflush(stdout);
    }
    (*started)->stop();
    started->reset();
    return code;
}

} // namespace

int run_serve(const serve_options& options) {
    auto loaded = load_settings(options.config, log_use::as_configured);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    // A start that is refused leaves no folder behind.
    if (!data_folder::exists(loaded->server.data)) {
        if (auto free = check_ports(*loaded); !free) {
            return report(free.error());
        }
    }
    auto folder =
        data_folder::open(loaded->server.data, "immortal serve", data_folder::when_absent::make);
    if (!folder) {
        return report(folder.error());
    }
    // Not before: a second start on the same folder says so rather than that its own ports are
    // taken, and what a killed server left has them until the folder's lock is free.
    if (auto free = check_ports(*loaded); !free) {
        return report(free.error());
    }
    const stop_signals signals;
    auto guardian = runtime::guardian::start({(*folder)->lock_descriptor()});
    if (!guardian) {
        return report(guardian.error());
    }
    const int code = serve_until_stopped(**folder, **guardian, *loaded, signals, options.json);
    (*guardian)->shut_down();
    return code;
}

} // namespace immortal::app
