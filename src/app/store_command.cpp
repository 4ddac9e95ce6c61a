// immortal store serve: the event store alone, without the game.
#include "app/cli.hpp"
#include "app/core.hpp"
#include "app/descriptor_shares.hpp"
#include "app/esdb_options.hpp"
#include "app/operations.hpp"
#include "app/stop_signals.hpp"
#include "app/tool.hpp"
#include "app/version.hpp"
#include "base/descriptors.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "eventlog/scavenger.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/scavenge_history.hpp"
#include "eventstore/system_events.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <unistd.h>
#include <utility>

namespace immortal::app {

namespace json = base::json;

namespace {

void print_running(const data_folder& folder, const std::string& address, bool as_json) {
    if (as_json) {
        fmt::print("{}\n", json::serialize(json::object{{"version", version_text()},
                                                        {"url", address},
                                                        {"data", folder.path().string()},
                                                        {"processId", getpid()}}));
    } else {
        fmt::print("\nThe event store of Immortality {} is running.\n\n", version_text());
        fmt::print("  {:<12} {}\n", "EventStoreDB", address);
        fmt::print("  {:<12} {}\n\n", "events", folder.events().string());
        fmt::print("Connect with any EventStoreDB or KurrentDB client. Ctrl-C stops it.\n");
    }
    std::fflush(stdout);
}

int serve_store(const data_folder& folder, const settings& options,
                esdb::protocol_settings protocol, bool as_json) {
    base::system_clock clock;
    base::system_random random;
    base::descriptor_reserve descriptors(share_descriptors(options).reserve);
    base::posix_file_system files(descriptors);
    base::metrics metrics;
    const stop_signals signals;
    auto log = open_event_log(folder, options, files, clock, random, &metrics);
    if (!log) {
        return report(log.error());
    }
    if (auto written = eventstore::write_system_events(**log); !written) {
        base::log_warning("app", "the first events of the log were not written",
                          {{"why", written.error().message}});
    }
    auto store = eventstore::make_embedded_store(**log, &metrics);
    std::optional<eventstore::scavenge_history> scavenges(std::in_place, **log, random);
    runtime::engine engine({.threads = options.server.threads});
    engine.start();
    protocol.operations = {.scavenges = &(*log)->scavenges(),
                           .shut_down = [] { kill(getpid(), SIGTERM); }};
    esdb::protocol_server server(engine, *store, clock, random, std::move(protocol));
    auto control =
        serve_operations(engine.executor(), folder.path(), {.log = log->get(), .store = *store});
    int code = exit_success;
    if (!control) {
        code = report(control.error());
    } else if (auto started = server.start(); !started) {
        code = report(started.error());
    } else {
        print_running(folder, server.connection_string(), as_json);
        print_first_password(server.first_password());
        while (signals.wait(std::chrono::milliseconds(500)) == 0) {
        }
        if (!as_json) {
            fmt::print("Stopping.\n");
            std::fflush(stdout);
        }
        server.stop(options.server.stop_timeout);
    }
    if (control) {
        engine.run((*control)->stop());
    }
    engine.stop();
    scavenges.reset();
    store.reset();
    (*log)->close();
    return code;
}

} // namespace

int run_store_serve(const serve_options& options) {
    const auto loaded = load_settings(options.config, log_use::as_configured);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    auto protocol = esdb_options(*loaded);
    if (!protocol) {
        return report(protocol.error());
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
    return serve_store(**folder, *loaded, std::move(*protocol), options.json);
}

} // namespace immortal::app
