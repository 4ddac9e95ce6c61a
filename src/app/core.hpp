// What the server and the operator's tools share: seams, threads, event log, PostgreSQL, Redis.
#pragma once

#include "app/backing.hpp"
#include "app/data_folder.hpp"
#include "app/settings.hpp"
#include "base/clock.hpp"
#include "base/descriptors.hpp"
#include "base/file.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "eventlog/log.hpp"
#include "eventstore/event_store.hpp"
#include "eventstore/scavenge_history.hpp"
#include "postgres/database.hpp"
#include "redis/client.hpp"
#include "runtime/engine.hpp"
#include "runtime/guardian.hpp"

#include <memory>

namespace immortal::app {

// Everything is destroyed in the reverse of the order in which it stands here.
class core {
public:
    // Starts the managed services while it opens the event log, and brings the schema up to date
    // once PostgreSQL answers. `policy`: as open_event_log. `folder`, `parent`, `options` outlive
    // it. Blocks. Errors: a sentence for the operator; nothing is left running then.
    [[nodiscard]] static base::result<std::unique_ptr<core>>
    open(const data_folder& folder, runtime::guardian& parent, const settings& options,
         backing::redis_use redis, data_folder::when_absent policy);

    ~core(); // stops what open() started
    core(const core&) = delete;
    core& operator=(const core&) = delete;

    runtime::guardian& guardian; // of the services
    base::metrics metrics;
    base::system_clock clock;
    base::system_random random;
    base::descriptor_reserve descriptors; // of the log
    base::posix_file_system files;
    runtime::engine engine;
    backing services;
    std::unique_ptr<eventlog::log> log; // null: the event store is a remote one
    std::unique_ptr<eventstore::scavenge_history> scavenges; // of the log
    std::unique_ptr<eventstore::event_store> store;
    postgres::settings database_settings;
    std::unique_ptr<postgres::database> database;
    redis::settings redis_settings;
    std::unique_ptr<redis::client> redis; // null: unwanted

private:
    core(const data_folder& folder, runtime::guardian& parent, const settings& options,
         backing::redis_use redis);
    base::status open_store(const data_folder& folder, const settings& options,
                            data_folder::when_absent policy);
    base::status connect(const settings& options);
    base::status check_unused_log(const data_folder& folder);
};

// As data_folder::check_embedded, for the folder and the store that `options` name.
[[nodiscard]] base::status check_embedded(const settings& options, data_folder::when_absent policy);

// The event store that `options` name, which is a remote one. Blocks. Errors: a sentence.
[[nodiscard]] base::result<std::unique_ptr<eventstore::event_store>>
open_remote(const settings& options, base::random_source& random);

// The event log alone, for tools that need nothing else. The arguments outlive it. Errors: also
// not_found (with `refuse`: there is no log; none is made).
[[nodiscard]] base::result<std::unique_ptr<eventlog::log>>
open_event_log(const data_folder& folder, const settings& options, base::file_system& files,
               base::clock& clock, base::random_source& random, base::metrics* metrics,
               data_folder::when_absent policy);

} // namespace immortal::app
