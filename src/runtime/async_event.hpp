// A broadcast wake-up across threads that cannot be missed: waiters name what they have seen.
#pragma once

#include "runtime/waiter.hpp"

#include <cstdint>
#include <memory>

namespace immortal::runtime {

//     auto seen = event.version();
//     while (!condition()) {
//         if (!co_await event.wait(seen, limit)) { ...the limit passed... }
//         seen = event.version();
//     }
//
// Thread-safe. Destroyed only when nobody waits.
class async_event {
public:
    async_event();
    ~async_event();
    async_event(const async_event&) = delete;
    async_event& operator=(const async_event&) = delete;

    // Counts the notifications; read it before testing the condition.
    [[nodiscard]] std::uint64_t version() const;

    // Wakes everyone who waits, and whoever will wait with a version from before.
    void notify_all();

    // True as soon as version() > `seen`; false when `limit` has passed or the coroutine was
    // cancelled.
    [[nodiscard]] awaitable<bool> wait(std::uint64_t seen, milliseconds limit);

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace immortal::runtime
