#include "runtime/guardian.hpp"

#include "runtime/guardian_process.hpp"
#include "runtime/guardian_state.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <map>
#include <mutex>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace immortal::runtime {

namespace protocol = guardian_protocol;

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto spawn_limit = std::chrono::seconds(30);
// What a child may take beyond its stop plan before it counts as overdue.
constexpr auto stop_margin = std::chrono::seconds(5);
// What the guardian may take for its own end when its children have ended.
constexpr auto guardian_margin = std::chrono::seconds(2);
constexpr timeval send_limit{.tv_sec = 1, .tv_usec = 0};

// Until the last signal of its plan, SIGKILL, has had its time.
milliseconds length_of(const std::vector<stop_step>& plan) {
    milliseconds out = std::chrono::seconds(1);
    for (const stop_step& step : plan) {
        out += step.grace;
    }
    return out;
}

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
    made->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
    const auto end_process = [pid] { // which has no children yet
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    };
    if (made->changed < 0) {
        const int number = errno;
        end_process();
        return base::fail(base::errc::unavailable,
                          "The guardian process could not be started: " + reason_of(number) + ".");
    }
    try {
        made->reader = std::thread([s = made.get()] { s->read_replies(); });
    } catch (const std::system_error& refused) {
        end_process();
        return base::fail(base::errc::unavailable,
                          "The guardian process could not be started: no thread for it (" +
                              refused.code().message() + ").");
    }
    return std::unique_ptr<guardian>(new guardian(std::move(made)));
}

base::result<child_process> guardian::spawn(process_spec spec) {
    auto child = std::make_shared<child_process::state>();
    child->owner = state_;
    child->plan_length = length_of(spec.stop_plan);
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->closed || state_->lost || state_->ending) {
            return base::fail(base::errc::cancelled, "The guardian process has ended.");
        }
        child->id = state_->next_id++;
        state_->children.emplace(child->id, child);
        state_->longest_plan = std::max(state_->longest_plan, child->plan_length);
        state_->wake();
    }
    protocol::request request{protocol::request_kind::spawn, child->id};
    request.spec = std::move(spec);
    if (auto sent = state_->send(request); !sent) {
        const std::lock_guard lock(state_->mutex);
        state_->children.erase(child->id); // there is no end to wait for
        return base::fail(sent.error());
    }
    const auto until = steady_clock::now() + spawn_limit;
    const auto answered = [&child] { return child->pid > 0 || child->failure || child->ended; };
    std::unique_lock lock(child->mutex);
    while (!child->changed.wait_for(lock, wake_interval, answered) && steady_clock::now() < until) {
        lock.unlock();
        wake();
        lock.lock();
    }
    if (!answered()) {
        lock.unlock();
        child->request(protocol::request_kind::stop, 0); // should it be started after all
        return base::fail(base::errc::unavailable,
                          request.spec.program +
                              " could not be started (the guardian does not answer).");
    }
    if (child->failure) {
        return base::fail(base::errc::unavailable,
                          request.spec.program + " could not be started (" + child->failure->text +
                              ": " + reason_of(static_cast<int>(child->failure->value)) + ").");
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
    using std::chrono::nanoseconds;
    protocol::request request{protocol::request_kind::limit};
    request.deadline_ns = static_cast<std::uint64_t>(
        std::chrono::duration_cast<nanoseconds>(deadline.time_since_epoch()).count());
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
    state_->watch.limit_children(deadline);
    if (state_->closed) {
        state_->watch.limit_guardian(std::max(deadline, steady_clock::now()) + guardian_margin);
    } else if (!state_->lost) {
        state_->wake();
        (void)state_->send(request); // lost meanwhile: its children end by themselves
    }
    state_->tell_reader();
}

void guardian::wake() {
    const std::lock_guard lock(state_->mutex);
    state_->wake();
}

bool guardian::ending() const {
    const std::lock_guard lock(state_->mutex);
    return state_->ending;
}

void guardian::begin_shut_down() {
    const std::lock_guard lock(state_->mutex);
    if (!std::exchange(state_->closed, true)) {
        const auto now = steady_clock::now();
        const auto due = state_->children.empty()
                             ? now
                             : state_->watch.children_due().value_or(now + state_->longest_plan);
        state_->watch.limit_guardian(std::max(due, now) + guardian_margin);
        state_->tell_reader();
        state_->wake();
        ::shutdown(state_->socket, SHUT_WR); // the guardian sees the end, replies still come
    }
}

void guardian::shut_down() {
    begin_shut_down();
    if (!state_->reader.joinable()) {
        return;
    }
    state_->reader.join(); // ends with the guardian, unless that cannot end yet
    const std::lock_guard lock(state_->mutex);
    while (!state_->abandoned && waitpid(state_->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

pid_t child_process::pid() const {
    const std::lock_guard lock(state_->mutex);
    return state_->pid;
}

std::optional<exit_status> child_process::wait(std::chrono::milliseconds limit) const {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_for(lock, limit, [this] { return state_->ended || state_->released; });
    return state_->ended;
}

void child_process::send_signal(int number) {
    state_->request(protocol::request_kind::signal, number);
}

void child_process::terminate() {
    {
        const std::lock_guard lock(state_->mutex);
        if (!state_->stop_due) {
            state_->stop_due = steady_clock::now() + state_->plan_length + stop_margin;
        }
    }
    state_->request(protocol::request_kind::stop, 0);
}

bool child_process::is_overdue() const {
    const std::lock_guard lock(state_->mutex);
    const bool late = state_->stop_due && *state_->stop_due <= steady_clock::now();
    return !state_->ended && (state_->released || late);
}

std::optional<exit_status> child_process::stop() {
    terminate();
    steady_clock::time_point due;
    {
        const std::lock_guard lock(state_->mutex);
        due = *state_->stop_due;
    }
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(due - steady_clock::now());
        const auto ended = wait(std::clamp(left, milliseconds(0), wake_interval));
        if (ended || left <= wake_interval || is_overdue()) {
            return ended;
        }
        if (const auto guardian = state_->owner.lock()) {
            const std::lock_guard lock(guardian->mutex);
            guardian->wake();
        }
    }
}

} // namespace immortal::runtime
