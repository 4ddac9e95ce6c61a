// What the operator's commands have in common: configuration, messages, and where they find the
// data: in a running server, or in the folder itself.
#pragma once

#include "app/cli.hpp"
#include "app/control.hpp"
#include "app/data_folder.hpp"
#include "app/settings.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

#include <functional>
#include <string>

namespace immortal::app {

// Prints the sentence on standard error; gives the exit code.
int report(const base::error& problem, int code = exit_failure);

// The loaded configuration with the program's own log set up; without an address of a PostgreSQL,
// libpq's variables are removed from the environment. Before any thread. `quiet`: warnings and
// errors only, unless the configuration names a level.
enum class log_use { as_configured, quiet };
[[nodiscard]] base::result<settings> load_settings(const configuration& from, log_use use);

using item_printer = std::function<void(const base::json::object&)>;

// Asks the server that runs on the data folder; when none runs, takes the folder's lock and calls
// `offline`. Blocks.
[[nodiscard]] base::result<base::json::object>
ask_server_or(const settings& options, const std::string& user, const base::json::object& request,
              const item_printer& print,
              const std::function<base::result<base::json::object>(const data_folder&)>& offline);

// A sink for operations that run in this process.
[[nodiscard]] item_sink printing_sink(item_printer print);

// The text as one word of a shell's command, in quotes where it must be.
[[nodiscard]] std::string shell_word(const std::string& text);

} // namespace immortal::app
