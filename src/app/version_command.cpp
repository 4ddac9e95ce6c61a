// immortal version
#include "app/cli.hpp"
#include "app/version.hpp"
#include "base/json.hpp"

#include <fmt/format.h>

namespace immortal::app {

int run_version(bool json) {
    if (json) {
        fmt::print("{}\n", base::json::serialize(base::json::object{{"version", version_text()},
                                                                    {"build", build_text()}}));
    } else {
        fmt::print("immortal {} ({})\n", version_text(), build_text());
    }
    return exit_success;
}

} // namespace immortal::app
