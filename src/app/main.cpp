#include "app/cli.hpp"
#include "app/output.hpp"
#include "app/process_setup.hpp"

#include <exception>

int main(int count, char** arguments) {
    immortal::app::prepare_process();
    try {
        return immortal::app::checked_exit(immortal::app::run_command_line(count, arguments));
    } catch (const std::exception& failure) {
        return immortal::app::exit_of_failure(failure);
    }
}
