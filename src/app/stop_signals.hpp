// SIGINT, SIGTERM and SIGHUP as values.
#pragma once

#include <chrono>
#include <csignal>
#include <ctime>

namespace immortal::app {

// Made before any thread, so that every thread inherits the mask.
class stop_signals {
public:
    stop_signals() {
        sigemptyset(&wanted_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            sigaddset(&wanted_, number);
        }
        pthread_sigmask(SIG_BLOCK, &wanted_, nullptr);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            (void)std::signal(number, SIG_DFL); // an ignored signal would not become a value
        }
        (void)std::signal(SIGPIPE, SIG_IGN);
    }
    // The number of the signal that came within `limit`; 0 if none did.
    [[nodiscard]] int wait(std::chrono::milliseconds limit) const {
        const timespec time{.tv_sec = static_cast<time_t>(limit.count() / 1000),
                            .tv_nsec = static_cast<long>(limit.count() % 1000) * 1'000'000};
        const int number = sigtimedwait(&wanted_, nullptr, &time);
        return number > 0 ? number : 0;
    }

private:
    sigset_t wanted_{};
};

} // namespace immortal::app
