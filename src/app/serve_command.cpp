// immortal serve
#include "app/backing.hpp"
#include "app/cli.hpp"
#include "app/esdb_options.hpp"
#include "app/http_address.hpp"
#include "app/output.hpp"
#include "app/reload.hpp"
#include "app/server.hpp"
#include "app/settings_check.hpp"
#include "app/startup.hpp"
#include "app/stop_schedule.hpp"
#include "app/tool.hpp"
#include "app/version.hpp"
#include "base/json.hpp"
#include "base/log.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace immortal::app {

namespace json = base::json;

namespace {

base::status check_ports(const settings& options) {
    auto free = check_http(options.http);
    return free && serves_protocol(options, server_kind::game)
               ? esdb::check_listening(numeric_addresses(options.esdb.address), options.esdb.port)
               : free;
}

std::vector<service_line> all_lines(const data_folder& folder, const settings& options,
                                    const server& running) {
    std::vector<service_line> lines{
        options.event_store.uri.empty()
            ? service_line{"event store", "embedded", folder.events().string()}
            : service_line{"event store", "remote", without_password(options.event_store.uri)}};
    for (auto& line : running.service_lines()) {
        lines.push_back(std::move(line));
    }
    return lines;
}

// `path` as it is written shortest where the program was started.
std::string from_here(const std::filesystem::path& path) {
    std::error_code failed;
    const auto relative = std::filesystem::proximate(path, failed);
    if (failed || relative.empty() || *relative.begin() == "..") {
        return path.string();
    }
    return relative.has_parent_path() ? relative.string() : "./" + relative.string();
}

std::string own_path() {
    std::error_code failed;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
    return failed ? "immortal" : from_here(path);
}

void add_examples(std::string& out, const std::string& url) {
    constexpr auto json_header = "-H 'Content-Type: application/json'";
    out += "Try it in another terminal:\n\n";
    out += fmt::format(
        "curl -s {}/v1/users {} -d '{{\"username\":\"hanli\",\"email\":\"hanli@example.com\","
        "\"password\":\"seven mysteries valley\"}}'\n",
        url, json_header);
    out += fmt::format(
        "TOKEN=$(curl -s {}/v1/sessions {} -d '{{\"username\":\"hanli\",\"password\":\"seven "
        "mysteries valley\"}}' | grep -o '\"token\": *\"[^\"]*' | cut -d'\"' -f4)\n",
        url, json_header);
    out += fmt::format("curl -s {}/v1/players -H \"Authorization: Bearer $TOKEN\" {} "
                       "-d \"{{\\\"name\\\":\\\"韩立$RANDOM\\\"}}\"\n\n",
                       url, json_header);
}

std::string screen_text(const data_folder& folder, const std::string& url,
                        const std::vector<service_line>& lines) {
    std::string out =
        fmt::format("\nImmortality {} is running.\n\n  {:<12} {}\n", version_text(), "HTTP", url);
    for (const service_line& line : lines) {
        out += fmt::format("  {:<12} {:<24} {}\n", line.name, line.how, line.where);
    }
    out += fmt::format("  {:<12} {:<24} {}\n\n", "logs", "", folder.logs().string());
    add_examples(out, url);
    out += "Let 200 players play for 20 seconds:\n\n";
    out +=
        fmt::format("{} simulate --url {} --data {} --players 200 --seconds 20\n\n",
                    shell_word(own_path()), shell_word(url), shell_word(from_here(folder.path())));
    return out + "Ctrl-C stops everything.\n";
}

std::string json_line(const data_folder& folder, const std::string& url,
                      const std::vector<service_line>& lines) {
    json::array services;
    for (const service_line& line : lines) {
        services.push_back(
            json::object{{"name", line.name}, {"how", line.how}, {"where", line.where}});
    }
    return base::json_text(json::object{{"version", version_text()},
                                        {"url", url},
                                        {"data", folder.path().string()},
                                        {"processId", getpid()},
                                        {"services", std::move(services)}}) +
           "\n";
}

base::result<std::unique_ptr<server>> start_and_announce(const data_folder& folder,
                                                         runtime::guardian& parent,
                                                         const settings& options, bool as_json) {
    auto started = server::start(folder, parent, options);
    if (started) {
        const std::string url = http_url(options.http, (*started)->port());
        const auto lines = all_lines(folder, options, **started);
        if (!announce(as_json ? json_line(folder, url, lines) : screen_text(folder, url, lines))) {
            base::log_warning("app", "standard output cannot be written; the server goes on");
        }
        print_first_password((*started)->first_administrator());
    }
    return started;
}

// What a start waits for ends, and so does the start.
void give_up(runtime::guardian& parent, const settings& options) {
    parent.end_by(stop_schedule(options.server.stop_timeout).services());
    parent.begin_shut_down();
}

int serve_until_stopped(const data_folder& folder, runtime::guardian& parent,
                        const settings& options, const configuration& source,
                        const stop_signals& signals, bool as_json) {
    signal_orders orders;
    reloader again(source, server_kind::game);
    auto started = await_start<server>(
        [&] { return start_and_announce(folder, parent, options, as_json); },
        {.begin = [&] { give_up(parent, options); }, .finish = [&] { parent.shut_down(); }},
        signals, orders);
    if (!started) { // a stop was asked for, and is what came about
        return report(started.error(), orders.stop ? exit_success : exit_failure);
    }
    if (*started == nullptr) {
        return exit_success;
    }
    server& running = **started;
    if (running.serves_tls()) {
        again.renew_with(
            [&](esdb::tls_settings fresh) { return running.renew_certificates(std::move(fresh)); });
    }
    serve_until_stop(
        signals, orders,
        {.begin = [&] { again.request(); }, .advance = [&] { return again.advance(); }},
        [&] { return parent.lost(); });
    const int code =
        parent.lost()
            ? report({base::errc::unavailable,
                      "The guardian process was killed; the managed services end with it, so "
                      "the server stops. Start it again."})
            : static_cast<int>(exit_success);
    if (!as_json) {
        announce("Stopping.\n");
    }
    running.stop();
    started->reset();
    parent.shut_down();
    again.abandon_reading(code);
    return code;
}

} // namespace

int run_serve(const serve_options& options) {
    auto loaded = load_settings(options.config, log_use::as_configured);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    if (auto usable = check_settings(*loaded, server_kind::game); !usable) {
        return report(usable.error(), exit_usage);
    }
    const auto needs = needs_of(*loaded, backing::redis_use::wanted);
    if (auto enough = runtime::check_resources(needs); !enough) {
        return report(enough.error());
    }
    // A start that is refused leaves no folder behind.
    if (!data_folder::exists(loaded->server.data)) {
        if (auto free = check_ports(*loaded); !free) {
            return report(free.error());
        }
    }
    auto folder =
        data_folder::open(loaded->server.data, "immortal serve", data_folder::when_absent::make);
    if (!folder) {
        return report(folder.error());
    }
    // Not before: a second start on the same folder says so rather than that its own ports are
    // taken, and what a killed server left has them until the folder's lock is free.
    if (auto free = check_ports(*loaded); !free) {
        return report(free.error());
    }
    const stop_signals signals;
    auto guardian = runtime::guardian::start({(*folder)->lock_descriptor()});
    if (!guardian) {
        return report(guardian.error());
    }
    const int code =
        serve_until_stopped(**folder, **guardian, *loaded, options.config, signals, options.json);
    (*guardian)->shut_down();
    return code;
}

} // namespace immortal::app
