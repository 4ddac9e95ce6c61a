#include "app/core.hpp"

#include "app/descriptor_shares.hpp"
#include "base/log.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/remote_store.hpp"
#include "eventstore/system_events.hpp"
#include "postgres/sqlstate.hpp"
#include "readmodel/leases.hpp"
#include "readmodel/migrations.hpp"

#include <future>

namespace immortal::app {

base::status check_embedded(const settings& options, data_folder::when_absent policy) {
    auto here = data_folder::check_embedded(options.server.data, policy);
    if (here || options.event_store.uri.empty()) {
        return here;
    }
    return base::fail(here.error().code,
                      "The events of this server are in the event store at " +
                          without_password(options.event_store.uri) +
                          " (event_store.uri), and there is no event log in " +
                          data_folder::absolute(options.server.data).string() +
                          ", on which this command works; use the tools of that store.");
}

namespace {

// A start, or a command, that finds the remote store unusable.
base::error explain_remote(const settings& options, const base::error& problem) {
    base::error out = problem;
    out.message = "The event store at " + without_password(options.event_store.uri) +
                  " cannot be used: " + problem.message + ". ";
    switch (problem.code) {
    case base::errc::unauthenticated:
    case base::errc::forbidden:
        out.message += "Name in event_store.uri (--event-store) the login and password of a user "
                       "who may read and write there.";
        break;
    case base::errc::mismatch:
    case base::errc::invalid_argument:
        out.message += "It must be KurrentDB 25.1 or later, or `immortal store serve`.";
        break;
    default:
        out.message += "Start it, or mend event_store.uri (--event-store); then try again.";
        break;
    }
    return out;
}

base::error explain_database(const std::string& uri, const base::error& problem) {
    const std::string place = without_password(uri);
    if (problem.reason == postgres::missing_right) {
        return {problem.code,
                "The role with which PostgreSQL is used at " + place +
                    " may not make or change tables in that database. Make it the owner of the "
                    "database, or let it create in the schema public and own the tables that "
                    "another role made there."};
    }
    if (problem.reason == postgres::absent_database) {
        return {problem.code, "PostgreSQL at " + place +
                                  " has no database of that name. Create it, or mend postgres.uri "
                                  "(--postgres)."};
    }
    if (problem.reason == postgres::wrong_password) {
        return {problem.code,
                "PostgreSQL at " + place +
                    " does not know that role, or the password is wrong. Mend postgres.uri "
                    "(--postgres)."};
    }
    if (problem.reason == postgres::refused_role) {
        return {problem.code,
                "PostgreSQL at " + place +
                    " does not let that role in: it does not exist, may not log in or connect to "
                    "that database, or pg_hba.conf does not admit it. Mend postgres.uri "
                    "(--postgres), or the role."};
    }
    return problem.code == base::errc::unavailable
               ? base::error{problem.code,
                             "PostgreSQL cannot be reached at " + place + ": " + problem.message}
               : problem;
}

} // namespace

base::result<std::unique_ptr<eventlog::log>>
open_event_log(const data_folder& folder, const settings& options, base::file_system& files,
               base::clock& clock, base::random_source& random, base::metrics* metrics,
               data_folder::when_absent policy) {
    if (auto here = check_embedded(options, policy); !here) {
        return base::fail(here.error());
    }
    eventlog::log_settings s;
    s.folder = folder.events().string();
    s.segment_size = options.event_log.segment_bytes;
    s.free_space_min = options.event_log.free_bytes_min;
    s.scavenge_reserve_bytes =
        options.event_log.scavenge_reserve ? options.event_log.segment_bytes : 0;
    const descriptor_shares shares = share_descriptors(options);
    s.open_segments_max = shares.segments;
    s.index.open_files_max = shares.index;
    s.queue_appends_max = options.event_log.queue_max;
    s.append_events_max = options.event_log.append_events_max;
    s.append_frame_size_max = options.event_log.append_bytes_max;
    s.clock_jump_min = options.event_log.clock_jump;
    s.clock_jump_hold = options.event_log.clock_hold;
    s.index.folder = s.folder + "/index";
    s.index.correlations = options.event_log.index_correlations;
    s.index.cache_bytes = options.event_log.index_cache_bytes;
    return eventlog::log::open(s, files, clock, random, metrics);
}

base::result<std::unique_ptr<eventstore::event_store>> open_remote(const settings& options,
                                                                   base::random_source& random) {
    const event_store_settings& s = options.event_store;
    auto connection = eventstore::parse_connection_string(s.uri);
    if (!connection) {
        return base::fail(std::move(connection.error()));
    }
    for (const std::string& key : connection->unknown) {
        base::log_warning("app", "the event store's connection string has a key without meaning",
                          {{"key", key}});
    }
    if (!connection->names("gossiptimeout")) {
        connection->gossip_timeout = s.gossip_timeout;
    }
    if (!connection->names("maxdiscoverattempts")) {
        connection->discover_attempts = s.discover_attempts_max;
    }
    eventstore::remote_settings chosen;
    chosen.operation_timeout = connection->default_deadline.value_or(s.operation_timeout);
    chosen.check_period = s.check_period;
    chosen.reconnection_delay = s.reconnection_delay;
    chosen.reads_need_leader =
        s.leader_only || connection->preference == eventstore::node_preference::leader;
    chosen.epoch = s.epoch;
    chosen.start_attempts = s.discover_attempts;
    chosen.connection = std::move(*connection);
    auto opened = eventstore::open_remote_store(std::move(chosen), random);
    return opened ? std::move(opened) : base::fail(explain_remote(options, opened.error()));
}

core::core(const data_folder& folder, runtime::guardian& parent, const settings& options,
           backing::redis_use use)
    : guardian(parent), descriptors(share_descriptors(options).reserve), files(descriptors),
      engine({.threads = options.server.threads}), services(parent, folder, options, use) {}

base::result<std::unique_ptr<core>> core::open(const data_folder& folder, runtime::guardian& parent,
                                               const settings& options, backing::redis_use use,
                                               data_folder::when_absent policy) {
    if (options.event_store.uri.empty()) { // before a PostgreSQL is made for nothing
        if (auto here = data_folder::check_embedded(folder.path(), policy); !here) {
            return base::fail(here.error());
        }
    }
    std::unique_ptr<core> made(new core(folder, parent, options, use));
    made->engine.start();
    auto store_opened =
        std::async(std::launch::async, [&] { return made->open_store(folder, options, policy); });
    auto begun = made->services.begin();
    auto opened = store_opened.get();
    if (!begun || !opened) {
        return base::fail(begun ? opened.error() : begun.error());
    }
    if (auto ready = made->services.wait_ready(); !ready) {
        return base::fail(ready.error());
    }
    if (auto connected = made->connect(options); !connected) {
        return base::fail(connected.error());
    }
    if (made->log == nullptr) {
        if (auto unused = made->check_unused_log(folder); !unused) {
            return base::fail(unused.error());
        }
    }
    return made;
}

// A log beside a remote store does no harm if it is that store from which the read model is made.
base::status core::check_unused_log(const data_folder& folder) {
    auto right = folder.check_remote();
    if (right) {
        return right;
    }
    const auto known = engine.run(readmodel::is_made_from(*database, store->identity()));
    if (!known) {
        return base::fail(known.error());
    }
    if (!*known) {
        return right;
    }
    base::log_warning("app", "an event log in the data folder is not used: move it away",
                      {{"folder", folder.events().string()}});
    return {};
}

base::status core::open_store(const data_folder& folder, const settings& options,
                              data_folder::when_absent policy) {
    if (!options.event_store.uri.empty()) {
        auto opened = open_remote(options, random);
        if (!opened) {
            return base::fail(std::move(opened.error()));
        }
        store = std::move(*opened);
        return {};
    }
    auto opened = open_event_log(folder, options, files, clock, random, &metrics, policy);
    if (!opened) {
        return base::fail(opened.error());
    }
    log = std::move(*opened);
    if (auto written = eventstore::write_system_events(*log); !written) {
        // The next start tries again; nothing of the game needs them.
        base::log_warning("app", "the first events of the log were not written",
                          {{"why", written.error().message}});
    }
    store = eventstore::make_embedded_store(*log, &metrics);
    scavenges = std::make_unique<eventstore::scavenge_history>(*log, random);
    return {};
}

base::status core::connect(const settings& options) {
    database_settings.uri = services.postgres_uri();
    database_settings.connections_max = options.postgres.connections;
    database_settings.statement_timeout = options.postgres.statement_timeout;
    database = postgres::make_database(engine.executor(), database_settings, metrics);
    if (!services.redis_uri().empty()) {
        redis_settings.uri = services.redis_uri();
        redis_settings.connections = options.redis.connections;
        redis_settings.command_timeout = options.redis.timeout;
        redis = redis::make_client(engine.executor(), redis_settings, metrics);
    }
    auto migrated = engine.run(postgres::migrate(*database, readmodel::migrations()));
    return migrated ? base::status()
                    : base::fail(explain_database(services.postgres_uri(), migrated.error()));
}

core::~core() {
    if (redis != nullptr) {
        engine.run(redis->stop());
    }
    if (database != nullptr) {
        engine.run(database->stop());
    }
    services.begin_stop(); // while the log is closed
    scavenges.reset();
    store.reset();
    if (log != nullptr) {
        log->close();
    }
    services.stop();
}

} // namespace immortal::app
