#include "app/cli.hpp"

#include <cstdio>
#include <exception>

int main(int count, char** arguments) {
    try {
        return immortal::app::run_command_line(count, arguments);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "immortal: an unexpected failure: %s\n", e.what());
    }
    return immortal::app::exit_failure;
}
