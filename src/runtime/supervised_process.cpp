#include "runtime/supervised_process.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace immortal::runtime {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

std::uint64_t size_of(const std::string& file) {
    std::error_code failed;
    const auto size = std::filesystem::file_size(file, failed);
    return failed ? 0 : size;
}

} // namespace

std::string_view name_of(service_state state) {
    switch (state) {
    case service_state::stopped:
        return "stopped";
    case service_state::starting:
        return "starting";
    case service_state::ready:
        return "ready";
    case service_state::unhealthy:
        return "unhealthy";
    case service_state::restarting:
        return "restarting";
    case service_state::failed:
        return "failed";
    }
    return "unknown";
}

std::string reason_in_log(const std::string& log_file, std::uint64_t from,
                          const std::vector<std::string>& marks) {
    std::ifstream file(log_file);
    file.seekg(static_cast<std::streamoff>(from));
    std::string marked;
    std::string last;
    for (std::string line; std::getline(file, line);) {
        for (const std::string& mark : marks) {
            if (const auto at = line.find(mark); at != std::string::npos) {
                marked = line.substr(at);
            }
        }
        if (!line.empty()) {
            last = line;
        }
    }
    std::string reason = marked.empty() ? last : marked;
    constexpr std::size_t size_max = 400;
    reason.resize(std::min(reason.size(), size_max));
    return reason;
}

struct supervised_process::state {
    state(guardian& p, settings o) : parent(p), options(std::move(o)) {}

    void run();
    std::optional<std::string> start_once();
    std::optional<std::string> wait_until_answering(std::uint64_t log_start);
    std::optional<exit_status> watch();
    std::string ended_sentence(exit_status how, std::uint64_t log_start) const;
    void set(service_state to, std::string message = {});
    bool pause(milliseconds length);

    guardian& parent;
    settings options;
    std::thread thread;

    mutable std::mutex mutex; // guards what follows
    std::condition_variable changed;
    service_status now;
    bool stopping = false;
    bool was_ready = false;
    std::optional<child_process> child;
};

void supervised_process::state::set(service_state to, std::string message) {
    const std::lock_guard lock(mutex);
    if (now.state != to) {
        now.since = base::system_clock().now();
    }
    now.state = to;
    now.message = std::move(message);
    was_ready = was_ready || to == service_state::ready;
    changed.notify_all();
}

// False if stop() came.
bool supervised_process::state::pause(milliseconds length) {
    std::unique_lock lock(mutex);
    return !changed.wait_for(lock, length, [this] { return stopping; });
}

std::string supervised_process::state::ended_sentence(exit_status how,
                                                      std::uint64_t log_start) const {
    const std::string reason = reason_in_log(options.log_file, log_start, options.reason_marks);
    return options.name + " ended (" + how.text() + ")" +
           (reason.empty() ? std::string(".") : ": " + reason) + " Its log is " + options.log_file +
           ".";
}

// Empty: it answers (or stop() came). Otherwise the sentence that says why it does not.
std::optional<std::string> supervised_process::state::start_once() {
    if (auto prepared = options.prepare(); !prepared) {
        return prepared.error().message;
    }
    const std::uint64_t log_start = size_of(options.log_file);
    auto spawned = parent.spawn(options.make_spec());
    if (!spawned) {
        return spawned.error().message;
    }
    {
        const std::lock_guard lock(mutex);
        child = std::move(*spawned);
        now.pid = child->pid();
        if (stopping) {
            child->terminate();
        }
    }
    return wait_until_answering(log_start);
}

std::optional<std::string>
supervised_process::state::wait_until_answering(std::uint64_t log_start) {
    const auto until = steady_clock::now() + options.start_limit;
    milliseconds pause_length(10);
    for (;;) {
        if (const auto ended = child->wait(pause_length)) {
            return ended_sentence(*ended, log_start);
        }
        const base::status answered = options.probe();
        if (answered) {
            return std::nullopt;
        }
        if (child->is_overdue()) {
            return options.name + " does not end.";
        }
        parent.wake(); // it may have to tell that the process has ended
        pause_length = std::min(pause_length * 2, milliseconds(200));
        if (steady_clock::now() >= until) {
            const bool ended = child->stop().has_value();
            return options.name + " did not answer within " +
                   std::to_string(options.start_limit.count() / 1000) +
                   " s: " + answered.error().message + (ended ? "" : " It does not end either.") +
                   " Its log is " + options.log_file + ".";
        }
    }
}

// Until it ends; empty: it was asked to and does not.
std::optional<exit_status> supervised_process::state::watch() {
    for (;;) {
        if (const auto ended = child->wait(options.probe_interval)) {
            return ended;
        }
        if (child->is_overdue()) {
            return std::nullopt;
        }
        const base::status answered = options.probe();
        if (answered) {
            set(service_state::ready);
        } else {
            parent.wake(); // it may have to tell that the process has ended
            set(service_state::unhealthy,
                options.name + " runs, but does not answer: " + answered.error().message);
        }
    }
}

void supervised_process::state::run() {
    milliseconds pause_length = options.pause_first;
    for (;;) {
        std::optional<std::string> problem = start_once();
        if (!problem) {
            base::log_info("runtime", options.name + " is ready", {{"pid", child->pid()}});
            set(service_state::ready);
            const auto ready_at = steady_clock::now();
            const std::uint64_t log_start = size_of(options.log_file);
            const auto end = watch();
            problem = end ? ended_sentence(*end, log_start) : options.name + " does not end.";
            if (!end || (parent.ending() && end->signal == SIGKILL)) {
                base::log_warning("runtime",
                                  options.name + (end ? " did not end in time and was killed; it "
                                                        "recovers at its next start"
                                                      : " was killed and does not end"));
            }
            if (steady_clock::now() - ready_at >= options.steady_after) {
                pause_length = options.pause_first;
            }
        }
        {
            const std::lock_guard lock(mutex);
            child.reset();
            now.pid = -1;
            if (stopping) {
                break;
            }
        }
        if (!was_ready || parent.lost() || parent.ending()) {
            set(service_state::failed, *problem);
            return;
        }
        base::log_warning("runtime", *problem + " It is started again.",
                          {{"pause_ms", pause_length.count()}});
        set(service_state::restarting, *problem);
        if (!pause(pause_length)) {
            break;
        }
        pause_length = std::min(pause_length * 2, options.pause_max);
        const std::lock_guard lock(mutex);
        ++now.restarts;
    }
    set(service_state::stopped);
}

supervised_process::supervised_process(guardian& parent, settings options)
    : state_(std::make_unique<state>(parent, std::move(options))) {}

supervised_process::~supervised_process() {
    stop();
}

void supervised_process::begin() {
    IMMORTAL_ASSERT(!state_->thread.joinable());
    state_->set(service_state::starting, state_->options.name + " is starting.");
    state_->thread = std::thread([s = state_.get()] { s->run(); });
}

base::status supervised_process::wait_ready() {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] {
        return state_->was_ready || state_->now.state == service_state::failed ||
               state_->now.state == service_state::stopped;
    });
    if (state_->was_ready) {
        return {};
    }
    return base::fail(base::errc::unavailable, state_->now.message.empty()
                                                   ? state_->options.name + " was stopped."
                                                   : state_->now.message);
}

void supervised_process::begin_stop() {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    if (state_->child) {
        state_->child->terminate();
    }
    state_->changed.notify_all();
}

void supervised_process::stop() {
    begin_stop();
    if (state_->thread.joinable()) {
        state_->thread.join();
    }
}

service_status supervised_process::status() const {
    const std::lock_guard lock(state_->mutex);
    return state_->now;
}

} // namespace immortal::runtime
