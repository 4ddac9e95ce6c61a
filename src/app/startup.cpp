#include "app/startup.hpp"

#include "app/cli.hpp"

#include <cstdio>
#include <unistd.h>

namespace immortal::app {

void abandon_start() {
    (void)!std::fputs("immortal: stopped before it was up.\n", stderr);
    _exit(exit_failure);
}

void serve_until_stop(const stop_signals& signals, signal_orders orders,
                      const std::function<void()>& reload, const std::function<bool()>& lost) {
    while (!orders.stop && !lost()) {
        if (orders.reload) {
            reload();
            orders.reload = false;
        }
        const int number = signals.wait(std::chrono::milliseconds(500));
        orders.reload = number == SIGHUP;
        orders.stop = number != 0 && number != SIGHUP;
    }
}

} // namespace immortal::app
