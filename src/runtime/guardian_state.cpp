#include "runtime/guardian_state.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "runtime/processes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace immortal::runtime {

namespace protocol = guardian_protocol;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {
// How long the end of what was killed together with the guardian is waited for.
constexpr milliseconds kill_limit{500};
} // namespace

guardian::state::~state() {
    if (socket >= 0) {
        close(socket); // no earlier: another thread may be sending
    }
    if (changed >= 0) {
        close(changed);
    }
}

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
    case protocol::reply_kind::pong: // of no child
        break;
    }
    child->changed.notify_all();
}

void guardian::state::end_all() {
    std::map<std::uint64_t, std::weak_ptr<child_process::state>> left;
    {
        const std::lock_guard lock(mutex);
        gone = true;
        lost = !closed;
        left.swap(children);
        if (lost && !killed) {
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

// Returns when a reply may have come; meanwhile it sees to the deadlines. False: there is nothing
// more to wait for.
bool guardian::state::await_reply() {
    for (int timeout_ms = 0;; timeout_ms = time_to_wait()) {
        std::array<pollfd, 2> waits{pollfd{socket, POLLIN, 0}, pollfd{changed, POLLIN, 0}};
        (void)poll(waits.data(), waits.size(), timeout_ms);
        if (waits[1].revents != 0) {
            std::uint64_t count = 0;
            (void)!read(changed, &count, sizeof count);
        }
        if (waits[0].revents != 0) {
            return true;
        }
        // Nothing is unread here: an answer that comes later is no older than what is asked now.
        if (!keep_deadlines()) {
            return false;
        }
    }
}

// In milliseconds; -1: without end.
int guardian::state::time_to_wait() {
    const std::lock_guard lock(mutex);
    if (!ending && !closed) {
        return -1; // there is no deadline
    }
    const auto now = steady_clock::now();
    if (next_wake <= now) {
        wake();
        next_wake = now + wake_interval;
    }
    const auto next = std::min(next_wake, watch.next_time(!children.empty()).value_or(next_wake));
    const auto left = std::chrono::ceil<milliseconds>(next - now);
    return static_cast<int>(std::clamp(left, milliseconds(0), wake_interval).count());
}

// False: the guardian reacts, but cannot end yet, and its end is all that is waited for.
bool guardian::state::keep_deadlines() {
    auto step = guardian_watch::step::none;
    {
        const std::lock_guard lock(mutex);
        step = watch.next_step(steady_clock::now(), !children.empty());
        if (step == guardian_watch::step::wake) {
            wake();
        }
        killed = killed || step == guardian_watch::step::kill;
        abandoned = closed && watch.has_given_up();
    }
    if (step == guardian_watch::step::give_up) {
        base::log_error("runtime", "a process that the guardian has started cannot be killed yet; "
                                   "the guardian keeps the data folder until it has ended");
        release_children();
    }
    if (step == guardian_watch::step::kill) {
        kill_everything();
    }
    return !abandoned;
}

void guardian::state::release_children() {
    std::map<std::uint64_t, std::weak_ptr<child_process::state>> stuck;
    {
        const std::lock_guard lock(mutex);
        stuck = children;
    }
    for (const auto& [id, weak] : stuck) {
        if (const auto child = weak.lock()) {
            const std::lock_guard lock(child->mutex);
            child->released = true;
            child->changed.notify_all();
        }
    }
}

// Its children and what they have started in turn, as far as the system knows them; those who are
// started meanwhile end with the group of their parent, or as it ends.
void guardian::state::kill_everything() {
    base::log_error("runtime", "the guardian process does not react and its time is over: it is "
                               "killed, with everything that it has started");
    const auto descendants = descendants_of(pid);
    const auto groups = children_of(pid);
    (void)kill(pid, SIGKILL);
    for (const pid_t group : groups) {
        (void)kill(-group, SIGKILL);
    }
    if (!stop_processes(descendants, {}, kill_limit)) {
        base::log_error("runtime", "not everything that the guardian has started can be killed");
    }
}

void guardian::state::wake() const {
    if (!gone) {
        (void)kill(pid, SIGCONT);
    }
}

void guardian::state::tell_reader() const {
    const std::uint64_t one = 1;
    (void)!write(changed, &one, sizeof one);
}

void guardian::state::read_replies() {
    std::string buffer(protocol::packet_size_max, '\0');
    while (await_reply()) {
        const ssize_t size = recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (size <= 0) {
            end_all();
            return;
        }
        const auto reply = protocol::decode_reply({buffer.data(), static_cast<std::size_t>(size)});
        IMMORTAL_ASSERT(reply.has_value());
        if (reply->kind == protocol::reply_kind::pong) {
            const std::lock_guard lock(mutex);
            watch.note_answer();
        } else {
            apply(*reply);
        }
    }
}

base::status guardian::state::send(const protocol::request& request) const {
    const std::string bytes = protocol::encode(request);
    if (bytes.size() > protocol::packet_size_max) {
        return base::fail(base::errc::too_large, "The command line of a child is too long.");
    }
    if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) { // within send_limit
        if (errno == EAGAIN) {
            return base::fail(base::errc::unavailable, "The guardian process does not answer.");
        }
        return base::fail(base::errc::cancelled, "The guardian process has ended.");
    }
    return {};
}

void child_process::state::request(protocol::request_kind kind, int signal) const {
    if (const auto to = owner.lock()) {
        const std::lock_guard lock(to->mutex);
        if (!to->closed && !to->lost) {
            to->wake();
            (void)to->send({kind, id, static_cast<std::uint32_t>(signal)});
        }
    }
}

} // namespace immortal::runtime
