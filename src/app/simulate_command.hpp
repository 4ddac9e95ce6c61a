// immortal simulate, with the check of the server's data behind it.
#pragma once

#include "app/cli.hpp"
#include "app/simulate.hpp"

namespace immortal::app {

struct simulate_command_options {
    configuration config; // names the data folder of the server, for the check
    simulate_options play;
};

[[nodiscard]] int run_simulate_command(simulate_command_options options);

} // namespace immortal::app
