// The guardian: a small process that is the parent of every child process of the server, and stops
// them when the server is gone, however it went.
#pragma once

#include "base/result.hpp"
#include "runtime/process_spec.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::runtime {

// A child of the guardian. Thread-safe. Dropping the handle leaves the process running until the
// guardian is shut down.
class child_process {
public:
    struct state;
    explicit child_process(std::shared_ptr<state> owned) : state_(std::move(owned)) {}

    [[nodiscard]] pid_t pid() const;

    // Waits up to `limit`; empty while it runs. Also ends (signal 9) when the guardian was lost.
    [[nodiscard]] std::optional<exit_status> wait(std::chrono::milliseconds limit) const;
    [[nodiscard]] bool running() const { return !wait(std::chrono::milliseconds(0)); }

    void send_signal(int number); // nothing if it has ended

    // Begins its stop plan, which ends in SIGKILL; does not wait.
    void terminate();
    // terminate(), then waits for the end.
    exit_status stop();

private:
    std::shared_ptr<state> state_;
};

class guardian {
public:
    // Forks the guardian: call it while the process has one thread. `keep_open`: descriptors the
    // guardian holds until it ends (the lock of the data folder, so that nobody takes the folder
    // while children still run); its children do not inherit them if they are close-on-exec.
    [[nodiscard]] static base::result<std::unique_ptr<guardian>>
    start(const std::vector<int>& keep_open = {});

    ~guardian(); // shut_down()
    guardian(const guardian&) = delete;
    guardian& operator=(const guardian&) = delete;

    // Starts a process. Errors: unavailable (the system refused; the message says which step and
    // why), cancelled (the guardian is gone). Thread-safe.
    [[nodiscard]] base::result<child_process> spawn(process_spec spec);

    // True when the guardian process has ended though nobody asked it to. Its children get the
    // first signal of their plans from the kernel.
    [[nodiscard]] bool lost() const;
    [[nodiscard]] pid_t pid() const;

    // Sets a deadline for everything it started: what still runs then is killed, with whatever it
    // has started in turn, also if it is stopped (SIGSTOP) or does not follow its plan. Nothing is
    // spawned from now on. The earliest deadline counts. Does not wait. Thread-safe.
    void end_by(std::chrono::steady_clock::time_point deadline);
    // Whether end_by() was called.
    [[nodiscard]] bool ending() const;

    // Begins to end every child that still runs, by its plan; does not wait. A spawn() fails from
    // then on. Thread-safe.
    void begin_shut_down();
    // begin_shut_down(), then waits for the guardian's end. One thread.
    void shut_down();

    struct state; // of guardian.cpp

private:
    explicit guardian(std::shared_ptr<state> owned);
    std::shared_ptr<state> state_;
};

} // namespace immortal::runtime
