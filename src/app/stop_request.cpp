#include "app/stop_request.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>

namespace immortal::app {
namespace {

std::atomic<int> wanted = 0; // the signal's number
static_assert(std::atomic<int>::is_always_lock_free);

void note(int number) {
    wanted = number;
    (void)std::signal(SIGINT, SIG_DFL);
    (void)std::signal(SIGTERM, SIG_DFL);
}

void set(int number, void (*handler)(int)) {
    struct sigaction before{};
    if (sigaction(number, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) {
        return;
    }
    struct sigaction now{};
    now.sa_handler = handler;
    sigemptyset(&now.sa_mask); // no SA_RESTART: who waits is woken
    (void)sigaction(number, &now, nullptr);
}

} // namespace

stop_request::stop_request() {
    wanted = 0;
    set(SIGINT, &note);
    set(SIGTERM, &note);
}

stop_request::~stop_request() {
    set(SIGINT, SIG_DFL);
    set(SIGTERM, SIG_DFL);
}

bool stop_request::made() {
    return wanted != 0;
}

void stop_request::obey() {
    if (const int number = wanted; number != 0) {
        (void)std::fflush(nullptr);
        (void)std::signal(number, SIG_DFL);
        (void)std::raise(number);
    }
}

} // namespace immortal::app
