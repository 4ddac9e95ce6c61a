#include "app/startup.hpp"

#include "app/cli.hpp"

#include <cstdio>
#include <unistd.h>

namespace immortal::app {

wait_end await_end(const std::function<bool()>& finished, std::chrono::milliseconds limit,
                   const stop_signals& signals) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!finished()) {
        const int number = signals.wait(std::chrono::milliseconds(10));
        if (number != 0 && number != SIGHUP) {
            return wait_end::interrupted;
        }
        if (std::chrono::steady_clock::now() >= until) {
            return finished() ? wait_end::finished : wait_end::expired;
        }
    }
    return wait_end::finished;
}

void tell_given_up() {
    (void)!std::fputs("immortal: stopped before it was up.\n", stderr);
}

void abandon_start() {
    _exit(exit_success);
}

void serve_until_stop(const stop_signals& signals, signal_orders orders, const reload_work& reload,
                      const std::function<bool()>& lost) {
    while (!orders.stop && !lost()) {
        if (orders.reload) {
            reload.begin();
            orders.reload = false;
        }
        const std::chrono::milliseconds patience(reload.advance() ? 10 : 500);
        const int number = signals.wait(patience);
        orders.reload = number == SIGHUP;
        orders.stop = number != 0 && number != SIGHUP;
    }
}

} // namespace immortal::app
