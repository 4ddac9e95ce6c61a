#include "app/simulate_command.hpp"

#include "app/http_client.hpp"
#include "app/tool.hpp"

#include <utility>

namespace immortal::app {

namespace json = base::json;

namespace {

base::result<bool> check_server(const settings& options) {
    const auto socket = data_folder::control_socket(options.server.data);
    if (!socket) {
        return base::fail(socket.error());
    }
    const auto found = ask_control(*socket, {{"command", "check"}}, [](const json::object&) {});
    if (!found) {
        return base::fail(
            base::errc::unavailable,
            "The check could not be made (is " +
                data_folder::absolute(options.server.data).string() +
                " the server's data folder? name it with --data): " + found.error().message);
    }
    const json::value* differences = found->if_contains("differences");
    return differences != nullptr && differences->is_int64() && differences->get_int64() == 0;
}

} // namespace

int run_simulate_command(simulate_command_options options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    if (const auto address = parse_http_url(options.play.url); !address) {
        return report({base::errc::invalid_argument,
                       "--url: " + address.error().message + ", not \"" + options.play.url + "\"."},
                      exit_usage);
    }
    options.play.check = [&loaded] { return check_server(*loaded); };
    return run_simulate(std::move(options.play));
}

} // namespace immortal::app
