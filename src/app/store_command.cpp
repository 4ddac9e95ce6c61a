// immortal store serve: the event store alone, without the game.
#include "app/cli.hpp"
#include "app/esdb_options.hpp"
#include "app/output.hpp"
#include "app/reload.hpp"
#include "app/settings_check.hpp"
#include "app/startup.hpp"
#include "app/store_server.hpp"
#include "app/tool.hpp"
#include "app/version.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "runtime/resource_check.hpp"

#include <fmt/format.h>

#include <unistd.h>
#include <utility>

namespace immortal::app {

namespace json = base::json;

namespace {

std::string screen_text(const data_folder& folder, const std::string& address, bool as_json) {
    if (as_json) {
        return json::serialize(json::object{{"version", version_text()},
                                            {"url", address},
                                            {"data", folder.path().string()},
                                            {"processId", getpid()}}) +
               "\n";
    }
    return fmt::format("\nThe event store of Immortality {} is running.\n\n"
                       "  {:<12} {}\n  {:<12} {}\n\n"
                       "Connect with any EventStoreDB or KurrentDB client. Ctrl-C stops it.\n",
                       version_text(), "EventStoreDB", address, "events", folder.events().string());
}

int serve_store(const data_folder& folder, const settings& options, const configuration& source,
                esdb::protocol_settings protocol, bool as_json) {
    const stop_signals signals;
    signal_orders orders;
    reloader again(source, server_kind::store);
    const bool tls = protocol.server.tls.has_value();
    auto started = await_start<store_server>(
        [&] { return store_server::start(folder, options, std::move(protocol)); },
        {.begin = [] {}, .finish = [] {}}, signals, orders); // it has no children
    if (!started) { // a stop was asked for, and is what came about
        return report(started.error(), orders.stop ? exit_success : exit_failure);
    }
    if (*started == nullptr) {
        return exit_success;
    }
    store_server& running = **started;
    if (!announce(screen_text(folder, running.connection_string(), as_json))) {
        base::log_warning("app", "standard output cannot be written; the server goes on");
    }
    print_first_password(running.first_administrator());
    if (tls) {
        again.renew_with(
            [&](esdb::tls_settings fresh) { return running.renew_certificates(std::move(fresh)); });
    }
    serve_until_stop(
        signals, orders,
        {.begin = [&] { again.request(); }, .advance = [&] { return again.advance(); }},
        [] { return false; });
    if (!as_json) {
        announce("Stopping.\n");
    }
    running.stop();
    again.abandon_reading(exit_success);
    return exit_success;
}

} // namespace

int run_store_serve(const serve_options& options) {
    auto loaded = load_settings(options.config, log_use::as_configured);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    if (auto usable = check_settings(*loaded, server_kind::store); !usable) {
        return report(usable.error(), exit_usage);
    }
    auto protocol = esdb_options(*loaded);
    if (!protocol) {
        return report(protocol.error(), exit_usage);
    }
    const runtime::resource_needs needs{.threads = loaded->server.threads + 24,
                                        .descriptors = 256,
                                        .address_space = std::uint64_t{512} << 20u,
                                        .file_size = loaded->event_log.segment_bytes + (1u << 20u)};
    if (auto enough = runtime::check_resources(needs); !enough) {
        return report(enough.error());
    }
    const auto& where = protocol->server;
    // A start that is refused leaves no folder behind; that a folder is in use is said first.
    if (!data_folder::exists(loaded->server.data)) {
        if (auto free = esdb::check_listening(where.addresses, where.port); !free) {
            return report(free.error());
        }
    }
    auto folder = data_folder::open(loaded->server.data, "immortal store serve",
                                    data_folder::when_absent::make);
    if (!folder) {
        return report(folder.error());
    }
    if (auto free = esdb::check_listening(where.addresses, where.port); !free) {
        return report(free.error());
    }
    return serve_store(**folder, *loaded, options.config, std::move(*protocol), options.json);
}

} // namespace immortal::app
