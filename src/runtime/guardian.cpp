#include "runtime/guardian.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "runtime/guardian_process.hpp"
#include "runtime/guardian_protocol.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <dirent.h>
#include <limits>
#include <map>
#include <mutex>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace immortal::runtime {

namespace protocol = guardian_protocol;

namespace {

constexpr auto spawn_limit = std::chrono::seconds(30);

// Closes what the guardian has no business with: whoever waits for the end of a pipe of the server
// must not wait for the guardian.
void close_all_but(std::vector<int> kept) {
    DIR* folder = opendir("/proc/self/fd");
    if (folder == nullptr) {
        return;
    }
    kept.push_back(dirfd(folder));
    std::vector<int> unwanted;
    while (const dirent* entry = readdir(folder)) {
        // tidy-allow(banned): names in this folder are numbers, and "." and ".." give 0.
        const int fd = std::atoi(entry->d_name);
        if (fd > 2 && std::find(kept.begin(), kept.end(), fd) == kept.end()) {
            unwanted.push_back(fd);
        }
    }
    closedir(folder);
    for (const int fd : unwanted) {
        close(fd);
    }
}

std::string reason_of(int number) {
    return std::error_code(number, std::generic_category()).message();
}

} // namespace

struct guardian::state {
    int socket = -1;
    pid_t pid = -1;
    std::thread reader;

    mutable std::mutex mutex; // guards what follows
    bool closed = false;      // by us
    bool lost = false;
    bool ending = false; // a deadline was set
    std::uint64_t next_id = 1;
    std::map<std::uint64_t, std::weak_ptr<child_process::state>> children;

    state() = default;
    ~state() {
        if (socket >= 0) {
            close(socket); // no earlier: another thread may be sending
        }
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    void read_replies();
    void apply(const protocol::reply& reply);
    void end_all();
    base::status send(const protocol::request& request) const;
};

struct child_process::state {
    std::weak_ptr<guardian::state> owner;
    std::uint64_t id = 0;

    mutable std::mutex mutex; // guards what follows
    mutable std::condition_variable changed;
    pid_t pid = -1;
    std::optional<protocol::reply> failure;
    std::optional<exit_status> ended;

    void request(protocol::request_kind kind, int signal) const;
};

void guardian::state::apply(const protocol::reply& reply) {
    std::shared_ptr<child_process::state> child;
    {
        const std::lock_guard lock(mutex);
        const auto found = children.find(reply.id);
        if (found == children.end()) {
            return;
        }
        child = found->second.lock();
        if (reply.kind != protocol::reply_kind::spawned || !child) {
            children.erase(found);
        }
    }
    if (!child) {
        return;
    }
    const std::lock_guard lock(child->mutex);
    switch (reply.kind) {
    case protocol::reply_kind::spawned:
        child->pid = static_cast<pid_t>(reply.pid);
        break;
    case protocol::reply_kind::failed:
        child->failure = reply;
        break;
    case protocol::reply_kind::exited: {
        const int status = static_cast<int>(reply.value);
        child->ended = WIFSIGNALED(status) ? exit_status{0, WTERMSIG(status)}
                                           : exit_status{WEXITSTATUS(status), 0};
        break;
    }
    }
    child->changed.notify_all();
}

void guardian::state::end_all() {
    std::map<std::uint64_t, std::weak_ptr<child_process::state>> left;
    {
        const std::lock_guard lock(mutex);
        lost = !closed;
        left.swap(children);
        if (lost) {
            base::log_error("runtime", "the guardian process has ended; its children end too");
        }
    }
    for (const auto& [id, weak] : left) {
        if (const auto child = weak.lock()) {
            const std::lock_guard lock(child->mutex);
            child->ended = exit_status{0, SIGKILL};
            child->changed.notify_all();
        }
    }
}

void guardian::state::read_replies() {
    std::string buffer(protocol::packet_size_max, '\0');
    for (;;) {
        const ssize_t size = recv(socket, buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            break;
        }
        const auto reply = protocol::decode_reply({buffer.data(), static_cast<std::size_t>(size)});
        IMMORTAL_ASSERT(reply.has_value());
        apply(*reply);
    }
    end_all();
}

base::status guardian::state::send(const protocol::request& request) const {
    const std::string bytes = protocol::encode(request);
    if (bytes.size() > protocol::packet_size_max) {
        return base::fail(base::errc::too_large, "The command line of a child is too long.");
    }
    if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
        return base::fail(base::errc::cancelled, "The guardian process has ended.");
    }
    return {};
}

guardian::guardian(std::shared_ptr<state> owned) : state_(std::move(owned)) {}

guardian::~guardian() {
    shut_down();
}

base::result<std::unique_ptr<guardian>> guardian::start(const std::vector<int>& keep_open) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return base::fail(base::errc::unavailable,
                          "The guardian process could not be started: " + reason_of(errno) + ".");
    }
    const pid_t pid = fork();
    if (pid == 0) {
        std::vector<int> kept = keep_open;
        kept.push_back(ends[1]);
        close_all_but(std::move(kept));
        run_guardian(ends[1]);
    }
    const int fork_error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return base::fail(base::errc::unavailable, "The guardian process could not be started: " +
                                                       reason_of(fork_error) + ".");
    }
    auto made = std::make_shared<state>();
    made->socket = ends[0];
    made->pid = pid;
    try {
        made->reader = std::thread([s = made.get()] { s->read_replies(); });
    } catch (const std::system_error& refused) {
        ::shutdown(made->socket, SHUT_WR); // it ends
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        return base::fail(base::errc::unavailable,
                          "The guardian process could not be started: no thread for it (" +
                              refused.code().message() + ").");
    }
    return std::unique_ptr<guardian>(new guardian(std::move(made)));
}

base::result<child_process> guardian::spawn(process_spec spec) {
    auto child = std::make_shared<child_process::state>();
    child->owner = state_;
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->closed || state_->lost || state_->ending) {
            return base::fail(base::errc::cancelled, "The guardian process has ended.");
        }
        child->id = state_->next_id++;
        state_->children.emplace(child->id, child);
    }
    protocol::request request{protocol::request_kind::spawn, child->id};
    request.spec = std::move(spec);
    if (auto sent = state_->send(request); !sent) {
        return base::fail(sent.error());
    }
    std::unique_lock lock(child->mutex);
    const bool answered = child->changed.wait_for(
        lock, spawn_limit, [&] { return child->pid > 0 || child->failure || child->ended; });
    if (!answered || child->failure) {
        const std::string why =
            child->failure
                ? child->failure->text + ": " + reason_of(static_cast<int>(child->failure->value))
                : std::string("the guardian does not answer");
        return base::fail(base::errc::unavailable,
                          request.spec.program + " could not be started (" + why + ").");
    }
    if (child->pid <= 0) {
        return base::fail(base::errc::cancelled, "The guardian process has ended.");
    }
    lock.unlock();
    return child_process(std::move(child));
}

bool guardian::lost() const {
    const std::lock_guard lock(state_->mutex);
    return state_->lost;
}

pid_t guardian::pid() const {
    return state_->pid;
}

void guardian::end_by(std::chrono::steady_clock::time_point deadline) {
    using std::chrono::milliseconds;
    const auto left =
        std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    protocol::request request{protocol::request_kind::limit};
    request.grace_ms = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(left, 0, std::numeric_limits<std::int32_t>::max()));
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
    if (!state_->closed && !state_->lost) {
        (void)state_->send(request); // lost meanwhile: its children end by themselves
    }
}

bool guardian::ending() const {
    const std::lock_guard lock(state_->mutex);
    return state_->ending;
}

void guardian::begin_shut_down() {
    const std::lock_guard lock(state_->mutex);
    if (!std::exchange(state_->closed, true)) {
        ::shutdown(state_->socket, SHUT_WR); // the guardian sees the end, replies still come
    }
}

void guardian::shut_down() {
    begin_shut_down();
    if (!state_->reader.joinable()) {
        return;
    }
    state_->reader.join(); // ends with the guardian
    while (waitpid(state_->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

void child_process::state::request(protocol::request_kind kind, int signal) const {
    if (const auto to = owner.lock()) {
        const std::lock_guard lock(to->mutex);
        if (!to->closed && !to->lost) {
            (void)to->send({kind, id, static_cast<std::uint32_t>(signal)});
        }
    }
}

pid_t child_process::pid() const {
    const std::lock_guard lock(state_->mutex);
    return state_->pid;
}

std::optional<exit_status> child_process::wait(std::chrono::milliseconds limit) const {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_for(lock, limit, [this] { return state_->ended.has_value(); });
    return state_->ended;
}

void child_process::send_signal(int number) {
    state_->request(protocol::request_kind::signal, number);
}

void child_process::terminate() {
    state_->request(protocol::request_kind::stop, 0);
}

exit_status child_process::stop() {
    terminate();
    std::optional<exit_status> ended;
    while (!ended) {
        ended = wait(std::chrono::seconds(60)); // the plan ends in SIGKILL
    }
    return *ended;
}

} // namespace immortal::runtime
