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
    // One that outlives the deadline of end_by(), as it cannot be killed, is not waited for: it is
    // overdue.
    [[nodiscard]] std::optional<exit_status> wait(std::chrono::milliseconds limit) const;
    [[nodiscard]] bool running() const { return !wait(std::chrono::milliseconds(0)); }

    void send_signal(int number); // nothing if it has ended

    // Begins its stop plan, which ends in SIGKILL; does not wait.
    void terminate();
    // Whether it should have ended long ago, by its stop plan or by the deadline of end_by(): it
    // cannot be killed (it waits for a disk), or the guardian does not react.
    [[nodiscard]] bool is_overdue() const;
    // terminate(), then waits for the end; empty: it is overdue.
    std::optional<exit_status> stop();

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
    // why; or the guardian does not answer within 30 s), cancelled (the guardian is gone).
    // Thread-safe.
    [[nodiscard]] base::result<child_process> spawn(process_spec spec);

    // True when the guardian process has ended though nobody asked it to. Its children get the
    // first signal of their plans from the kernel.
    [[nodiscard]] bool lost() const;
    [[nodiscard]] pid_t pid() const;

    // Continues the guardian if it is stopped (SIGSTOP), as everything does that asks it for
    // something: for those who wait for what it may have to say. Thread-safe.
    void wake();

    // Sets a deadline for everything it started: what still runs then is killed, with whatever it
    // has started in turn, also if it is stopped (SIGSTOP) or does not follow its plan. 1.5 s
    // after the deadline nobody waits for it any longer: if the guardian does not react, this
    // process kills it with everything that it has started, and waits 0.5 s for their end; if it
    // does, a child cannot be killed, and is overdue. Nothing is spawned from now on. The earliest
    // deadline counts. Does not wait. Thread-safe.
    void end_by(std::chrono::steady_clock::time_point deadline);
    // Whether end_by() was called.
    [[nodiscard]] bool ending() const;

    // Begins to end every child that still runs, by its plan; does not wait. A spawn() fails from
    // then on. Without end_by() the longest of the plans gives the deadline. Thread-safe.
    void begin_shut_down();
    // begin_shut_down(), then waits for the guardian's end: at most 4 s longer than to the
    // deadline, or from now, if that is later or no child is left. A guardian whose children cannot
    // be killed stays behind, and keeps what it holds open until they have ended. One thread.
    void shut_down();

    struct state; // guardian_state.hpp

private:
    explicit guardian(std::shared_ptr<state> owned);
    std::shared_ptr<state> state_;
};

} // namespace immortal::runtime
