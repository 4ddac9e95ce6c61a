// A server's life as signals see it: a start that can be given up, a run that can be told to read
// its configuration again, and its end.
#pragma once

#include "app/stop_signals.hpp"
#include "base/result.hpp"

#include <chrono>
#include <functional>
#include <future>
#include <memory>

namespace immortal::app {

// What signals have asked for so far.
struct signal_orders {
    bool stop = false;
    bool reload = false;
};

// Ends the process at once, with exit_failure: for a start that does not come back. What is half
// made is whole again at the next start, as after a kill.
[[noreturn]] void abandon_start();

// Runs `start` on a thread of its own and waits for it and for signals. SIGINT and SIGTERM end a
// start too: one that is nearly done is let finish (`orders.stop` is set then), else `give_up` ends
// what it waits for, and a start that goes on for all that is abandoned. Null: it was given up.
// Rethrows what `start` throws; throws std::system_error when there is no thread for it.
template <typename T>
base::result<std::unique_ptr<T>>
await_start(const std::function<base::result<std::unique_ptr<T>>()>& start,
            const std::function<void()>& give_up, const stop_signals& signals,
            signal_orders& orders) {
    using std::chrono::milliseconds;
    constexpr milliseconds nearly_done(2'000);
    constexpr milliseconds patience(3'000);
    auto starting = std::async(std::launch::async, start);
    const auto ended = [&starting](milliseconds limit) {
        return starting.wait_for(limit) == std::future_status::ready;
    };
    while (!ended(milliseconds(0))) {
        const int number = signals.wait(milliseconds(20));
        orders.reload = orders.reload || number == SIGHUP;
        if (number == 0 || number == SIGHUP) {
            continue;
        }
        orders.stop = true;
        if (!ended(nearly_done)) {
            give_up();
            if (!ended(patience)) {
                abandon_start();
            }
            (void)starting.get();
            return nullptr;
        }
    }
    return starting.get();
}

// Returns at SIGINT, SIGTERM, or when `lost` says so; calls `reload` at each SIGHUP.
void serve_until_stop(const stop_signals& signals, signal_orders orders,
                      const std::function<void()>& reload, const std::function<bool()>& lost);

} // namespace immortal::app
