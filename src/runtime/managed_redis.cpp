#include "runtime/managed_redis.hpp"

#include "base/assert.hpp"
#include "runtime/folder_lock.hpp"
#include "runtime/log_rotation.hpp"
#include "runtime/processes.hpp"
#include "runtime/service_folders.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace immortal::runtime {

namespace fs = std::filesystem;

namespace {

constexpr auto socket_name = "redis.sock";

std::vector<stop_step> redis_stop_plan() {
    return {{SIGTERM, std::chrono::seconds(5)}};
}

// A path as it stands in a URI (RFC 3986, 3.3): what is not plain there is percent-encoded.
std::string uri_path(const fs::path& path) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : path.string()) {
        if (plain.find(c) != std::string_view::npos) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += {'%', digits[byte >> 4u], digits[byte & 15u]};
        }
    }
    return out;
}

base::status no_answer(const std::string& why) {
    return base::fail(base::errc::unavailable, why);
}

base::status ping(int fd, const std::string& path) {
    constexpr int limit_s = 2;
    const timeval limit{.tv_sec = limit_s, .tv_usec = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy_n(path.begin(), std::min(path.size(), sizeof address.sun_path - 1), address.sun_path);
    constexpr std::string_view question = "PING\r\n";
    std::array<char, 16> answer{};
    // sockaddr_un is what connect() takes behind its untyped interface.
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        send(fd, question.data(), question.size(), MSG_NOSIGNAL) < 0) {
        return no_answer(std::error_code(errno, std::generic_category()).message());
    }
    const ssize_t size = recv(fd, answer.data(), answer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return no_answer("nothing came within " + std::to_string(limit_s) + " s");
    }
    const bool good =
        size > 0 &&
        std::string_view(answer.data(), static_cast<std::size_t>(size)).starts_with("+PONG");
    return good ? base::status() : no_answer("no PONG came");
}

base::status probe(const std::string& path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return no_answer(std::error_code(errno, std::generic_category()).message());
    }
    auto answered = ping(fd, path);
    close(fd);
    return answered;
}

} // namespace

struct managed_redis::state {
    state(guardian& p, settings o) : parent(p), options(std::move(o)) {}

    [[nodiscard]] process_spec server_spec() const;
    [[nodiscard]] base::status end_leftovers() const;

    guardian& parent;
    settings options;
    fs::path program;
    fs::path sockets;
    std::optional<account> run_as;
    std::unique_ptr<folder_lock> claim; // on the folder of the socket
    std::unique_ptr<supervised_process> process;
};

process_spec managed_redis::state::server_spec() const {
    process_spec spec;
    spec.program = program.string();
    spec.arguments = {"--port", "0", "--unixsocket", (sockets / socket_name).string(),
                      "--unixsocketperm", "700", "--dir", sockets.string(), "--save", "",
                      "--appendonly", "no", "--daemonize", "no", "--loglevel", "notice",
                      "--maxmemory", std::to_string(options.memory_max_mb) + "mb",
                      "--maxmemory-policy",
                      // Keys without a time to live (the cache's generation, its boards) stay.
                      "volatile-lru"};
    spec.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/"};
    spec.working_folder = sockets.string();
    spec.log_file = (options.log_folder / "redis.log").string();
    spec.run_as = run_as;
    spec.stop_plan = redis_stop_plan();
    return spec;
}

base::status managed_redis::state::end_leftovers() const {
    rotate_log(options.log_folder / "redis.log");
    for (const char* name : {"redis-server", "redis-check-rdb"}) { // one program, two names
        if (!stop_processes(find_processes(name, sockets.string()), redis_stop_plan())) {
            return base::fail(base::errc::unavailable,
                              "A Redis that an earlier run left behind in " + sockets.string() +
                                  " does not end.");
        }
    }
    return {};
}

managed_redis::managed_redis(guardian& parent, settings options)
    : state_(std::make_unique<state>(parent, std::move(options))) {}

managed_redis::~managed_redis() {
    stop();
}

base::status managed_redis::begin() {
    IMMORTAL_ASSERT(state_->process == nullptr);
    const fs::path given = state_->options.program;
    auto program = given.empty() ? find_program("redis-server", {"/usr/bin"})
                                 : find_program(given.filename().string(), {given.parent_path()});
    if (!program) {
        return base::fail(base::errc::not_found,
                          "The program redis-server was not found. Install Debian's package "
                          "redis-server, or name a server with --redis URI.");
    }
    state_->program = std::move(*program);
    auto run_as = service_account({"redis", "postgres", "nobody"});
    if (!run_as) {
        return base::fail(run_as.error());
    }
    state_->run_as = std::move(*run_as);
    auto sockets =
        make_socket_folder(state_->options.data_folder, "redis", socket_name, state_->run_as);
    if (!sockets) {
        return base::fail(sockets.error());
    }
    state_->sockets = std::move(*sockets);
    auto claimed = folder_lock::take(state_->sockets / "immortal.owner", state_->run_as);
    if (!claimed && claimed.error().code == base::errc::already_exists) {
        return base::fail(base::errc::already_exists,
                          "The folder " + state_->sockets.string() +
                              " is in use by another running server. It was left alone: stop that "
                              "server first, or use another data folder.");
    }
    if (!claimed) {
        return base::fail(claimed.error());
    }
    state_->claim = std::move(*claimed);
    supervised_process::settings s;
    s.name = "Redis";
    s.log_file = log_file().string();
    s.reason_marks = {"FATAL", "Failed", "failed", "Can't"};
    s.start_limit = state_->options.start_limit;
    s.probe_interval = state_->options.probe_interval;
    s.prepare = [me = state_.get()] { return me->end_leftovers(); };
    s.make_spec = [me = state_.get()] { return me->server_spec(); };
    s.probe = [path = (state_->sockets / socket_name).string()] { return probe(path); };
    state_->process = std::make_unique<supervised_process>(state_->parent, std::move(s));
    state_->process->begin();
    return {};
}

base::status managed_redis::wait_ready() {
    IMMORTAL_ASSERT(state_->process != nullptr);
    return state_->process->wait_ready();
}

void managed_redis::begin_stop() {
    if (state_->process != nullptr) {
        state_->process->begin_stop();
    }
}

void managed_redis::stop() {
    if (state_->process != nullptr) {
        state_->process->stop();
    }
}

std::string managed_redis::uri() const {
    return "unix://" + uri_path(state_->sockets / socket_name);
}

const fs::path& managed_redis::folder() const {
    return state_->sockets;
}

fs::path managed_redis::log_file() const {
    return state_->options.log_folder / "redis.log";
}

service_status managed_redis::status() const {
    return state_->process != nullptr ? state_->process->status() : service_status{};
}

} // namespace immortal::runtime
