// One suspended wait that another thread may end: the part under async_event, key_locks and the
// blocking pool.
#pragma once

#include "runtime/engine.hpp"

#include <cstdint>
#include <memory>

namespace immortal::runtime {

enum class wake_reason : std::uint8_t { notified, timed_out, cancelled };

// Ends once: by wake(), by its limit, or by cancellation of the waiting coroutine; whatever comes
// first. Shared between the waiting coroutine's caller and those who may wake it.
class waiter {
public:
    [[nodiscard]] static std::shared_ptr<waiter> make(any_io_executor executor);
    ~waiter();
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    // Ends the wait; true if this call did. It may come before wait(). Thread-safe.
    bool wake(wake_reason reason = wake_reason::notified);

    // Once. Give up the caller's own reference to it (move): the pending timer, and those who may
    // wake it, keep the waiter alive, and the suspended frame must not (it would own itself).
    [[nodiscard]] static awaitable<wake_reason> wait(std::shared_ptr<waiter> self,
                                                     milliseconds limit);

private:
    struct state;
    explicit waiter(any_io_executor executor);
    std::unique_ptr<state> state_;
};

} // namespace immortal::runtime
