#include "app/store_server.hpp"

#include "app/core.hpp"
#include "app/descriptor_shares.hpp"
#include "app/operations.hpp"
#include "app/stop_schedule.hpp"
#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "eventlog/scavenger.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/scavenge_history.hpp"
#include "eventstore/system_events.hpp"

#include <csignal>
#include <unistd.h>
#include <utility>

namespace immortal::app {

// Made from top to bottom, destroyed from bottom to top.
struct store_server::parts {
    explicit parts(const settings& o)
        : options(o), descriptors(share_descriptors(o).reserve), files(descriptors),
          engine({.threads = o.server.threads}) {}

    const settings& options;
    base::system_clock clock;
    base::system_random random;
    base::descriptor_reserve descriptors; // of the log
    base::posix_file_system files;
    base::metrics metrics;
    std::unique_ptr<eventlog::log> log;
    std::unique_ptr<eventstore::event_store> store;
    std::optional<eventstore::scavenge_history> scavenges;
    runtime::engine engine;
    std::optional<esdb::protocol_server> protocol;
    std::unique_ptr<control_server> control;
    bool serving = false;
};

store_server::store_server(std::unique_ptr<parts> owned) : parts_(std::move(owned)) {}

store_server::~store_server() {
    stop();
}

base::result<std::unique_ptr<store_server>> store_server::start(const data_folder& folder,
                                                                const settings& options,
                                                                esdb::protocol_settings protocol) {
    std::unique_ptr<store_server> made(new store_server(std::make_unique<parts>(options)));
    parts& p = *made->parts_;
    auto log = open_event_log(folder, options, p.files, p.clock, p.random, &p.metrics,
                              data_folder::when_absent::make);
    if (!log) {
        return base::fail(log.error());
    }
    p.log = std::move(*log);
    if (auto written = eventstore::write_system_events(*p.log); !written) {
        base::log_warning("app", "the first events of the log were not written",
                          {{"why", written.error().message}});
    }
    p.store = eventstore::make_embedded_store(*p.log, &p.metrics);
    p.scavenges.emplace(*p.log, p.random);
    p.engine.start();
    protocol.operations = {.scavenges = &p.log->scavenges(),
                           .shut_down = [] { kill(getpid(), SIGTERM); }};
    protocol.metrics = &p.metrics;
    protocol.server.may_accept = [&p] { return p.descriptors.is_whole(); };
    p.protocol.emplace(p.engine, *p.store, p.clock, p.random, std::move(protocol));
    auto control = serve_operations(p.engine.executor(), folder.path(),
                                    {.log = p.log.get(), .store = *p.store});
    if (!control) {
        return base::fail(control.error());
    }
    p.control = std::move(*control);
    auto started = p.protocol->start();
    if (!started) {
        return base::fail(started.error());
    }
    p.serving = true;
    return made;
}

void store_server::stop() {
    parts& p = *parts_;
    const stop_schedule schedule(p.options.server.stop_timeout);
    if (std::exchange(p.serving, false)) {
        p.protocol->stop(stop_schedule::left_until(schedule.services()));
    }
    if (p.control != nullptr) {
        p.engine.run(p.control->stop());
        p.control.reset();
    }
    p.engine.stop();
    p.protocol.reset();
    p.scavenges.reset();
    p.store.reset();
    if (p.log != nullptr) {
        p.log->close();
    }
}

std::string store_server::connection_string() const {
    return parts_->protocol->connection_string();
}

std::optional<esdb::first_user> store_server::first_administrator() const {
    return parts_->protocol->first_administrator();
}

base::status store_server::renew_certificates(esdb::tls_settings tls) {
    return parts_->protocol->renew_certificates(std::move(tls));
}

} // namespace immortal::app
