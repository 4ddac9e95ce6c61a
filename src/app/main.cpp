#include "app/cli.hpp"
#include "app/output.hpp"
#include "app/process_setup.hpp"

#include <csignal>
#include <cstdint>
#include <exception>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// The kernel's form of a set of signals.
constexpr std::uint64_t order_signals =
    (1u << (SIGHUP - 1)) | (1u << (SIGINT - 1)) | (1u << (SIGTERM - 1));
std::uint64_t inherited_mask = 0;

// Signals that are orders for a server wait until main() has said what becomes of them. Runs before
// the initialisers of the libraries, which take longer than everything else at the start of the
// process: nothing is ready yet, sanitizers neither, so it is a plain call of the kernel.
__attribute__((disable_sanitizer_instrumentation)) void hold_order_signals() {
    (void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, &order_signals, &inherited_mask,
                  sizeof order_signals);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*before_initialisers)() = &hold_order_signals;

void release_order_signals() {
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &inherited_mask, nullptr, sizeof inherited_mask);
}

bool is_server(int count, char** arguments) {
    const auto is = [&](int index, std::string_view word) {
        return index < count && arguments[index] == word;
    };
    return is(1, "serve") || (is(1, "store") && is(2, "serve"));
}

} // namespace

int main(int count, char** arguments) {
    immortal::app::prepare_process();
    if (is_server(count, arguments)) {
        immortal::app::end_at_stop_signals();
    }
    release_order_signals();
    try {
        return immortal::app::checked_exit(immortal::app::run_command_line(count, arguments));
    } catch (const std::exception& failure) {
        return immortal::app::exit_of_failure(failure);
    }
}
