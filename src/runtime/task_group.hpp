// The coroutines a component runs, and their common end.
#pragma once

#include "runtime/engine.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace immortal::runtime {

// Every task runs on a strand of its own, so it is cancelled safely. Thread-safe. stop() comes
// before the destructor, unless the group is empty (asserted).
class task_group {
public:
    // `name` stands in log lines.
    task_group(any_io_executor executor, std::string name);
    ~task_group();
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    // An exception that leaves the task is logged and counted; it ends this task only. After stop()
    // has begun the task is dropped without running.
    void spawn(awaitable<void> task, std::string name);

    // Refuses new tasks, cancels the running ones (Asio terminal cancellation: their pending waits
    // end, the next one throws operation_aborted) and waits for their end. False if some still run
    // after `limit` (they are named in the log). It may be called again.
    [[nodiscard]] awaitable<bool> stop(milliseconds limit);

    [[nodiscard]] std::size_t running() const;
    [[nodiscard]] std::uint64_t failures() const; // tasks that ended with an exception

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace immortal::runtime
