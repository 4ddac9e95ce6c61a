#include "app/tool.hpp"

#include "app/process_setup.hpp"
#include "base/log.hpp"

#include <cstdio>
#include <utility>

namespace immortal::app {

namespace json = base::json;

int report(const base::error& problem, int code) {
    // Not fmt::print, which throws where standard error cannot be written.
    (void)!std::fputs(("immortal: " + problem.message + "\n").c_str(), stderr);
    return code;
}

base::result<settings> load_settings(const configuration& from, log_use use) {
    auto config = load_config(from.file, from.flags);
    if (!config) {
        return base::fail(config.error());
    }
    settings out = read_settings(*config);
    if (out.server.data.empty()) {
        return base::fail(base::errc::invalid_argument,
                          "The name of the data folder is empty; name a folder with --data.");
    }
    if (out.postgres.uri.empty()) {
        forget_postgres_environment();
    }
    const bool lower = use == log_use::quiet && config->is_default("log.level");
    base::configure_log(lower ? base::log_level::warning : out.log_level, out.log_format);
    return out;
}

base::result<json::object>
ask_server_or(const settings& options, const std::string& user, const json::object& request,
              const item_printer& print,
              const std::function<base::result<json::object>(const data_folder&)>& offline) {
    auto folder = data_folder::open(options.server.data, user, data_folder::when_absent::refuse);
    if (folder) {
        return offline(**folder);
    }
    if (folder.error().reason != "in_use") {
        return base::fail(folder.error());
    }
    const auto socket = data_folder::control_socket(options.server.data);
    return socket ? ask_control(*socket, request, print)
                  : base::result<json::object>(base::fail(socket.error()));
}

namespace {

awaitable<bool> print_item(item_printer print, json::object item) {
    print(item);
    co_return true;
}

} // namespace

item_sink printing_sink(item_printer print) {
    return [print = std::move(print)](json::object item) {
        return print_item(print, std::move(item));
    };
}

std::string shell_word(const std::string& text) {
    constexpr auto plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:[]+,=@";
    if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) {
        return text;
    }
    std::string out = "'";
    for (const char c : text) {
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return out + "'";
}

} // namespace immortal::app
