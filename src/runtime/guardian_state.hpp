// What guardian.hpp hides: the server's side of the connection to its guardian process.
//
// The reader thread takes the guardian's replies and keeps the deadlines that were set: it does not
// trust the guardian with them (guardian_watch.hpp). Every SIGCONT asks whether the guardian
// reacts, and is answered with a pong.
#pragma once

#include "runtime/guardian.hpp"
#include "runtime/guardian_protocol.hpp"
#include "runtime/guardian_watch.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/types.h>
#include <thread>

namespace immortal::runtime {

// How often the guardian is woken by those who wait for it: it may be stopped at any time.
constexpr std::chrono::milliseconds wake_interval{1'000};

struct guardian::state {
    int socket = -1;
    int changed = -1; // an eventfd: the deadlines of `watch` have changed
    pid_t pid = -1;
    std::thread reader;

    mutable std::mutex mutex; // guards what follows
    bool closed = false;      // by us
    bool lost = false;
    bool killed = false;    // by us
    bool gone = false;      // its number may be another's
    bool ending = false;    // a deadline was set
    bool abandoned = false; // at the end of a shut-down it reacts, but cannot end yet
    std::chrono::steady_clock::time_point next_wake; // while somebody waits for its end
    guardian_watch watch;
    std::chrono::milliseconds longest_plan{0};
    std::uint64_t next_id = 1;
    std::map<std::uint64_t, std::weak_ptr<child_process::state>> children;

    state() = default;
    ~state();
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    void read_replies();
    bool await_reply();
    int time_to_wait();
    bool keep_deadlines();
    void release_children();
    void kill_everything();
    void wake() const; // with the mutex held; nothing once it has ended
    void tell_reader() const;
    void apply(const guardian_protocol::reply& reply);
    void end_all();
    base::status send(const guardian_protocol::request& request) const;
};

struct child_process::state {
    std::weak_ptr<guardian::state> owner;
    std::uint64_t id = 0;

    std::chrono::milliseconds plan_length{0};

    mutable std::mutex mutex; // guards what follows
    mutable std::condition_variable changed;
    std::optional<guardian_watch::time_point> stop_due; // once it was asked to stop
    pid_t pid = -1;
    std::optional<guardian_protocol::reply> failure;
    std::optional<exit_status> ended;
    bool released = false; // nobody waits for its end any longer

    void request(guardian_protocol::request_kind kind, int signal) const;
};

} // namespace immortal::runtime
