#include "runtime/guardian_process.hpp"

#include "runtime/guardian_protocol.hpp"
#include "runtime/processes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <map>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace immortal::runtime {

namespace {

namespace protocol = guardian_protocol;
using std::chrono::steady_clock;

struct spawn_failure {
    int number = 0;
    std::array<char, 28> step{};
};

// In the new process, between fork and exec.
class child_setup {
public:
    child_setup(const process_spec& spec, int report, pid_t parent)
        : spec_(spec), report_(report), parent_(parent) {}

    [[noreturn]] void run() {
        check(setpgid(0, 0) == 0, "process group");
        open_output();
        if (spec_.run_as) {
            check(initgroups(spec_.run_as->name.c_str(), spec_.run_as->gid) == 0, "groups");
            check(setgid(spec_.run_as->gid) == 0, "group");
            check(setuid(spec_.run_as->uid) == 0, "account");
        }
        check(chdir(spec_.working_folder.c_str()) == 0, "folder");
        if (!spec_.stop_plan.empty()) { // after the change of account, which clears it
            check(prctl(PR_SET_PDEATHSIG, spec_.stop_plan.front().signal) == 0, "death signal");
        }
        if (getppid() != parent_) {
            _exit(127);
        }
        umask(077);
        reset_signals();
        exec();
    }

private:
    void check(bool good, const char* step) {
        if (good) {
            return;
        }
        spawn_failure failure;
        failure.number = errno;
        std::copy_n(step, std::min<std::size_t>(std::char_traits<char>::length(step), 27),
                    failure.step.begin());
        (void)!write(report_, &failure, sizeof failure);
        _exit(127);
    }

    void open_output() {
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        check(null >= 0, "/dev/null");
        int out = null;
        if (!spec_.log_file.empty()) {
            out = open_log();
            check(out >= 0, "log file");
        }
        check(dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2, "output");
    }

    // The guardian waits for this process: not to wait for a reader of what may be a FIFO, and not
    // for long for who holds a lease on it (who reads the logs over a network, for instance).
    [[nodiscard]] int open_log() const {
        for (int attempt = 1;; ++attempt) {
            const int log = open(spec_.log_file.c_str(),
                                 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
            if (log >= 0 || errno != EWOULDBLOCK || attempt == 50) {
                return log;
            }
            (void)poll(nullptr, 0, 20);
        }
    }

    static void reset_signals() {
        for (int number = 1; number < NSIG; ++number) {
            (void)std::signal(number, SIG_DFL);
        }
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
    }

    [[noreturn]] void exec() {
        const auto pointers = [](const std::vector<std::string>& texts) {
            std::vector<char*> out;
            for (const std::string& text : texts) {
                out.push_back(const_cast<char*>(text.c_str()));
            }
            out.push_back(nullptr);
            return out;
        };
        std::vector<char*> arguments = pointers(spec_.arguments);
        arguments.insert(arguments.begin(), const_cast<char*>(spec_.program.c_str()));
        execve(spec_.program.c_str(), arguments.data(), pointers(spec_.environment).data());
        check(false, "program");
        _exit(127);
    }

    const process_spec& spec_;
    int report_;
    pid_t parent_;
};

class guardian_loop {
public:
    guardian_loop(int socket, int signals) : socket_(socket), signals_(signals) {}

    void run() {
        while (!server_gone_ || !children_.empty()) {
            std::array<pollfd, 2> waits{pollfd{signals_, POLLIN, 0},
                                        pollfd{server_gone_ ? -1 : socket_, POLLIN, 0}};
            (void)poll(waits.data(), waits.size(), timeout_ms());
            if (waits[0].revents != 0) {
                drain_signals();
            }
            reap();
            if (waits[1].revents != 0) {
                receive();
            }
            escalate();
            if (is_overdue()) {
                overdue_ = kill_all();
                ++kill_rounds_;
            }
            answer_wake();
        }
        sweep();
    }

private:
    struct child {
        pid_t pid = -1;
        std::vector<stop_step> plan;
        std::size_t next_step = 0;
        bool stopping = false;
        steady_clock::time_point due{}; // of the next step, while stopping
    };

    int timeout_ms() const {
        using std::chrono::milliseconds;
        auto wait = milliseconds(60'000);
        if (limit_) {
            wait = std::min(wait, std::chrono::ceil<milliseconds>(*limit_ - steady_clock::now()));
        } else if (overdue_) {
            wait = milliseconds(kill_rounds_ < 100 ? 20 : 1'000); // a disk may take for ever
        }
        for (const auto& [id, c] : children_) {
            if (c.stopping) {
                wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(
                                          c.due - steady_clock::now()));
            }
        }
        return static_cast<int>(std::max(wait, std::chrono::milliseconds(0)).count());
    }

    void drain_signals() {
        signalfd_siginfo info;
        while (read(signals_, &info, sizeof info) == sizeof info) {
            woken_ = woken_ || info.ssi_signo == SIGCONT;
        }
    }

    // After what was due: whoever gets it knows that it has been done.
    void answer_wake() {
        if (std::exchange(woken_, false)) {
            const std::string bytes = protocol::encode({protocol::reply_kind::pong});
            // A server that has not read what came before needs no further one.
            (void)!send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }

    void reply(const protocol::reply& r) {
        const std::string bytes = protocol::encode(r);
        // The server may be gone: then nobody needs to know.
        (void)!send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }

    void reap() {
        for (;;) {
            int status = 0;
            const pid_t pid = waitpid(-1, &status, WNOHANG);
            if (pid <= 0) {
                return;
            }
            const auto found = std::find_if(children_.begin(), children_.end(),
                                            [pid](const auto& e) { return e.second.pid == pid; });
            if (found == children_.end()) {
                continue; // an orphan of a child
            }
            const auto id = found->first;
            children_.erase(found);
            reply({protocol::reply_kind::exited, id, static_cast<std::uint32_t>(pid),
                   static_cast<std::uint32_t>(status)});
        }
    }

    void receive() {
        buffer_.resize(protocol::packet_size_max);
        const ssize_t size = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (size <= 0) {
            server_gone_ = true;
            for (auto& [id, c] : children_) {
                begin_stop(c);
            }
            return;
        }
        const auto request =
            protocol::decode_request({buffer_.data(), static_cast<std::size_t>(size)});
        if (!request) {
            return; // both ends are one program: only a defect gets here
        }
        if (request->kind == protocol::request_kind::spawn) {
            spawn(request->id, request->spec);
            return;
        }
        if (request->kind == protocol::request_kind::limit) {
            const steady_clock::time_point due(std::chrono::nanoseconds(request->deadline_ns));
            limit_ = std::min(limit_.value_or(due), due);
            return;
        }
        const auto found = children_.find(request->id);
        if (found == children_.end()) {
            return; // it has ended meanwhile
        }
        if (request->kind == protocol::request_kind::stop) {
            begin_stop(found->second);
        } else {
            (void)kill(found->second.pid, static_cast<int>(request->signal));
        }
    }

    void spawn(std::uint64_t id, const process_spec& spec) {
        std::array<int, 2> report{};
        if (pipe2(report.data(), O_CLOEXEC) != 0) {
            reply({protocol::reply_kind::failed, id, 0, static_cast<std::uint32_t>(errno), "pipe"});
            return;
        }
        const pid_t self = getpid();
        const pid_t pid = fork();
        if (pid == 0) {
            child_setup(spec, report[1], self).run();
        }
        const int fork_error = errno;
        close(report[1]);
        spawn_failure failure;
        const bool failed = pid > 0 && read(report[0], &failure, sizeof failure) > 0;
        close(report[0]);
        if (pid < 0 || failed) {
            if (failed) {
                (void)waitpid(pid, nullptr, 0);
            }
            reply({protocol::reply_kind::failed, id, 0,
                   static_cast<std::uint32_t>(failed ? failure.number : fork_error),
                   failed ? failure.step.data() : "fork"});
            return;
        }
        children_[id] = {.pid = pid, .plan = spec.stop_plan};
        reply({protocol::reply_kind::spawned, id, static_cast<std::uint32_t>(pid), 0});
    }

    void begin_stop(child& c) {
        if (!c.stopping) {
            c.stopping = true;
            c.due = steady_clock::now();
        }
    }

    void escalate() {
        for (auto& [id, c] : children_) {
            if (!c.stopping || c.due > steady_clock::now()) {
                continue;
            }
            const bool planned = c.next_step < c.plan.size();
            const stop_step step =
                planned ? c.plan[c.next_step] : stop_step{SIGKILL, std::chrono::seconds(1)};
            c.next_step += planned ? 1 : 0;
            (void)kill(step.signal == SIGKILL ? -c.pid : c.pid, step.signal);
            (void)kill(c.pid, SIGCONT); // a stopped process would not see it
            c.due = steady_clock::now() + step.grace;
        }
    }

    // Whether the deadline has passed and there may be something left to kill.
    bool is_overdue() {
        if (limit_ && *limit_ <= steady_clock::now()) {
            limit_.reset();
            overdue_ = true;
        }
        return overdue_;
    }

    // Children with their process groups, and the orphans that their ends leave behind, which may
    // have groups of their own: a stopped process (SIGSTOP) is killed too. False: nothing is left.
    bool kill_all() {
        for (const auto& [id, c] : children_) {
            (void)kill(-c.pid, SIGKILL);
        }
        const auto left = children_of(getpid());
        for (const pid_t pid : left) {
            (void)kill(pid, SIGKILL);
        }
        return !left.empty();
    }

    // Orphans of the children were adopted by this process (it is their sub-reaper). Most end by
    // themselves when their parent is gone; the others are ended here. Those who cannot be killed
    // yet are waited for: the data folder is theirs.
    void sweep() {
        for (int round = 0;; ++round) {
            while (waitpid(-1, nullptr, WNOHANG) > 0) {
            }
            const auto orphans = children_of(getpid());
            if (orphans.empty()) {
                return;
            }
            for (const pid_t pid : orphans) {
                (void)kill(pid, round < 10 ? SIGTERM : SIGKILL);
            }
            pause(std::chrono::milliseconds(round < 100 ? 50 : 1'000));
        }
    }

    void pause(std::chrono::milliseconds length) {
        const auto until = steady_clock::now() + length;
        for (auto left = length; left.count() > 0;
             left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now())) {
            pollfd wait{signals_, POLLIN, 0};
            (void)poll(&wait, 1, static_cast<int>(left.count()));
            drain_signals();
            answer_wake();
        }
    }

    int socket_;
    int signals_;
    bool server_gone_ = false;
    bool woken_ = false; // by SIGCONT, which asks whether this process reacts
    std::optional<steady_clock::time_point> limit_; // for everything; empty: none, or it has passed
    bool overdue_ = false;                          // it has passed; children or orphans are left
    std::uint64_t kill_rounds_ = 0;
    std::map<std::uint64_t, child> children_;
    std::string buffer_;
};

int watch_signals() {
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) {
        (void)std::signal(number, SIG_IGN); // it ends when the server ends, not before
    }
    (void)std::signal(SIGCHLD, SIG_DFL);
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGCONT); // continues the process all the same
    sigprocmask(SIG_SETMASK, &watched, nullptr);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

} // namespace

void run_guardian(int socket) noexcept {
    setsid(); // out of the terminal's process group: Ctrl-C is for the server
    prctl(PR_SET_NAME, "immortal-guard");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)!chdir("/");
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; ++fd) {
        (void)dup2(null, fd);
    }
    // An exception here ends the process (noexcept); the kernel then sends each child the first
    // signal of its plan.
    guardian_loop(socket, watch_signals()).run();
    _exit(0);
}

} // namespace immortal::runtime
