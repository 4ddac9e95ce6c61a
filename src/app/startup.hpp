// A server's life as signals see it: a start that can be given up, a run that can be told to read
// its configuration again, and its end.
#pragma once

#include "app/stop_signals.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>

namespace immortal::app {

// What signals have asked for so far.
struct signal_orders {
    bool stop = false;
    bool reload = false;
};

// How a start is given up when a signal ends it.
struct start_surrender {
    std::function<void()> begin;  // ends what the start waits for; does not block
    std::function<void()> finish; // waits until nothing that the start has started runs any more
};

enum class wait_end : std::uint8_t { finished, expired, interrupted };

// Waits up to `limit` for `finished` to say yes; a further SIGINT or SIGTERM ends the wait.
[[nodiscard]] wait_end await_end(const std::function<bool()>& finished,
                                 std::chrono::milliseconds limit, const stop_signals& signals);

// Says that the server was stopped before it was up.
void tell_given_up();

// Ends the process at once, with exit_success, since a stop was asked for: for a start that does
// not come back. What is half made is whole again at the next start, as after a kill.
[[noreturn]] void abandon_start();

// Runs `start` on a thread of its own and waits for it and for signals. SIGINT and SIGTERM end a
// start too: one that is nearly done is let finish (`orders.stop` is set then), else it is given
// up, and one that goes on for all that is abandoned; a second signal gives it up at once, a third
// ends the process. Null: it was given up. Rethrows what `start` throws; throws std::system_error
// when there is no thread for it.
template <typename T>
base::result<std::unique_ptr<T>>
await_start(const std::function<base::result<std::unique_ptr<T>>()>& start,
            const start_surrender& surrender, const stop_signals& signals, signal_orders& orders) {
    using std::chrono::milliseconds;
    constexpr milliseconds nearly_done(500);
    constexpr milliseconds patience(2'000);
    auto starting = std::async(std::launch::async, start);
    const auto finished = [&starting] {
        return starting.wait_for(milliseconds(0)) == std::future_status::ready;
    };
    while (!finished()) {
        const int number = signals.wait(milliseconds(20));
        orders.reload = orders.reload || number == SIGHUP;
        if (number == 0 || number == SIGHUP) {
            continue;
        }
        orders.stop = true;
        if (await_end(finished, nearly_done, signals) == wait_end::finished) {
            break;
        }
        surrender.begin();
        const wait_end end = await_end(finished, patience, signals);
        tell_given_up();
        if (end == wait_end::expired) {
            surrender.finish();
        }
        if (end != wait_end::finished) {
            abandon_start();
        }
        (void)starting.get();
        return nullptr;
    }
    return starting.get();
}

// What SIGHUP begins.
struct reload_work {
    std::function<void()> begin;   // does not block
    std::function<bool()> advance; // goes on with it; true: it is not done yet
};

// Returns at SIGINT, SIGTERM, or when `lost` says so; begins to reload at each SIGHUP.
void serve_until_stop(const stop_signals& signals, signal_orders orders, const reload_work& reload,
                      const std::function<bool()>& lost);

} // namespace immortal::app
