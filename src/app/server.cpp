#include "app/server.hpp"

#include "accounts/service.hpp"
#include "api/application.hpp"
#include "app/control.hpp"
#include "app/core.hpp"
#include "app/esdb_options.hpp"
#include "app/game_streams.hpp"
#include "app/http_address.hpp"
#include "app/operations.hpp"
#include "app/settings_check.hpp"
#include "app/stop_schedule.hpp"
#include "app/version.hpp"
#include "base/log.hpp"
#include "cache/service.hpp"
#include "commands/service.hpp"
#include "game/catalog.hpp"
#include "ops/deadlines.hpp"
#include "ops/erasures.hpp"
#include "readmodel/progress.hpp"
#include "readmodel/projector.hpp"
#include "readmodel/queries.hpp"
#include "readmodel/views.hpp"
#include "readmodel/warm_up.hpp"
#include "runtime/deadline.hpp"
#include "runtime/managed_postgres.hpp"
#include "runtime/managed_redis.hpp"
#include "runtime/task_group.hpp"

#include <future>
#include <optional>
#include <unistd.h>
#include <utility>

namespace immortal::app {

namespace json = base::json;

namespace {

// How the rest of the server sees the settings.

cache::service::options cache_options(const core& c, const settings& options) {
    cache::service::options out;
    out.cache.identity = c.store->identity();
    out.cache.freshener = "projector";
    out.cache.exclusive = true; // the embedded store has one process
    out.cache.local_entries_max = options.cache.local_entries_max;
    return out;
}

readmodel::projector_settings projector_options(const settings& options,
                                                base::random_source& random) {
    readmodel::projector_settings out;
    out.name = std::to_string(getpid()) + "-" + base::random_hex(random, 4);
    out.policy = readmodel::lease_policy::take_over; // whoever else had the leases is dead
    out.batch_events_max = options.projector.batch_events_max;
    return out;
}

commands::service_settings command_options(const settings& options) {
    commands::service_settings out;
    out.rules.time_scale = options.time_scale;
    out.rules.unattended_seconds = options.unattended_hours * 3600;
    out.timeout = options.commands.timeout;
    out.attempts_max = options.commands.attempts_max;
    out.aggregates_max = options.commands.aggregates_max;
    out.waiting_max = options.commands.waiting_max;
    out.snapshot_every = options.commands.snapshot_every;
    return out;
}

accounts::settings account_options(const settings& options) {
    accounts::settings out;
    out.session_idle = options.accounts.session_idle;
    out.session_absolute = options.accounts.session_absolute;
    out.sessions_max = options.accounts.sessions_max;
    out.hashes_at_once = options.accounts.hashes_at_once;
    out.hash_queue_max = options.accounts.hash_queue_max;
    out.logins_per_minute = options.limits.logins_per_minute;
    out.registrations_per_hour = options.limits.registrations_per_hour;
    return out;
}

ops::job_settings job_options(const settings& options, base::random_source& random) {
    ops::job_settings out;
    out.owner = std::to_string(getpid()) + "-" + base::random_hex(random, 4);
    out.interval = options.jobs.interval;
    out.lease_time = options.jobs.lease;
    out.first = readmodel::job_start::take_over; // whoever else had the lease is dead
    return out;
}

ops::erasure_settings erasure_options(const settings& options, base::random_source& random) {
    ops::erasure_settings out;
    out.job = job_options(options, random);
    out.grace = options.commands.timeout + milliseconds{5'000};
    return out;
}

api::application::settings api_options(const settings& options) {
    api::application::settings out;
    out.http.addresses = numeric_addresses(options.http.address);
    out.http.trusted_proxies = trusted_proxies(options.http).value_or(std::vector<std::string>());
    out.http.port = options.http.port;
    out.http.header_size_max = options.http.header_bytes_max;
    out.http.body_size_max = options.http.body_bytes_max;
    out.http.connections_max = options.http.connections_max;
    out.http.connections_per_source_max = options.http.connections_per_source_max;
    out.http.read_timeout = options.http.read_timeout;
    out.http.idle_timeout = options.http.idle_timeout;
    out.http.write_timeout = options.http.write_timeout;
    out.http.request_timeout = options.http.request_timeout;
    const limit_settings& limits = options.limits;
    out.rates.request = {limits.requests_per_second, limits.requests_burst};
    out.rates.log_in = {limits.logins_per_minute / 60, limits.logins_per_minute};
    out.rates.sign_up = {limits.registrations_per_hour / 3600, limits.registrations_per_hour};
    out.rates.command = {limits.commands_per_second, limits.commands_burst};
    return out;
}

// The value of `config:game`: the rules and the catalogue in force.
std::string game_config_of(const settings& options, const game::catalog& catalog) {
    return base::json_text(json::object{
        {"rulesVersion", game::rules_version},
        {"timeScale", options.time_scale},
        {"unattendedHours", options.unattended_hours},
        {"catalogVersion", catalog.version()},
        {"programVersion", version_text()},
    });
}

awaitable<void> fill(cache::service& shared) {
    const std::size_t filled = co_await shared.values().warm_up();
    base::log_info("cache", "warmed up", {{"values", filled}});
}

// How long work that was cancelled, or lost its database, may take to end.
constexpr milliseconds cut_limit{3'000};

// The managed services are killed at the same time; given ones may be as silent.
awaitable<void> cut_off(core& c, milliseconds limit) {
    if (!co_await runtime::wait_for(limit)) {
        co_return; // the stop needs it no more
    }
    base::log_warning("app", "the stop takes too long: what still waits for PostgreSQL and Redis "
                             "is cut off");
    co_await c.database->stop();
    if (c.redis != nullptr) {
        co_await c.redis->stop();
    }
}

api::component::report report_of(const runtime::service_status& status) {
    using condition = api::component::condition;
    const bool good = status.state == runtime::service_state::ready;
    return {good ? condition::ok : condition::degraded,
            std::string(runtime::name_of(status.state))};
}

// The processes of the managed services, for /readyz: whether they answer is said there already.
std::vector<api::component> managed_components(const backing& services) {
    std::vector<api::component> out;
    if (const auto* postgres = services.postgres()) {
        out.push_back(
            {"managedPostgres", false, [postgres] { return report_of(postgres->status()); }});
    }
    if (const auto* redis = services.redis()) {
        out.push_back({"managedRedis", false, [redis] { return report_of(redis->status()); }});
    }
    return out;
}

} // namespace

// Made from top to bottom, destroyed from bottom to top.
struct server::parts {
    const settings& options;
    std::unique_ptr<core> base_parts;
    std::optional<cache::service> shared;
    std::optional<readmodel::progress> progress;
    std::optional<readmodel::queries> queries;
    std::optional<readmodel::views> views;
    std::optional<readmodel::projector> projector;
    std::optional<commands::service> commands;
    std::optional<accounts::service> accounts;
    std::optional<ops::deadline_poller> deadlines;
    std::optional<ops::erasure_worker> erasures;
    std::optional<api::application> api;
    std::unique_ptr<esdb::protocol_server> protocol; // null: not served
    std::unique_ptr<control_server> control;
    std::optional<runtime::task_group> background;
    bool projecting = false;
    bool working = false; // the jobs
    bool listening = false;
    bool serving_protocol = false;
    bool stopped = false;

    explicit parts(const settings& o) : options(o) {}

    void make();
    base::status begin(const data_folder& folder);
    base::status begin_protocol();
    void end();
    void end_interfaces(const stop_schedule& schedule);
    void end_work(const stop_schedule& schedule);
};

void server::parts::make() {
    core& c = *base_parts;
    const auto executor = c.engine.executor();
    const game::catalog& catalog = game::catalog::builtin();
    if (options.cache.enabled) {
        shared.emplace(executor, c.redis.get(),
                       redis::make_subscriber(executor, c.redis_settings,
                                              {std::string(cache::invalidation_channel)}),
                       c.clock, c.random, c.metrics, cache_options(c, options));
    }
    cache::service* const caches = shared ? &*shared : nullptr;
    progress.emplace();
    queries.emplace(*c.database, *c.store);
    views.emplace(*queries, *progress, *c.store, caches, c.clock,
                  readmodel::view_settings{.after_deadline = options.http.after_timeout});
    if (caches != nullptr) {
        readmodel::register_warm_up({*caches, *views, *c.database},
                                    game_config_of(options, catalog));
    }
    background.emplace(executor, "app");
    projector.emplace(executor,
                      readmodel::projector::parts{*c.database, *c.store, catalog, *progress, caches,
                                                  c.clock, c.metrics},
                      projector_options(options, c.random));
    commands.emplace(executor,
                     commands::service::parts{*c.store, catalog, c.clock, c.random, c.metrics},
                     command_options(options));
    accounts.emplace(accounts::parts{.executor = executor,
                                     .database = *c.database,
                                     .listening = c.database_settings,
                                     .redis = c.redis.get(),
                                     .store = c.store.get(),
                                     .clock = c.clock,
                                     .random = c.random,
                                     .metrics = c.metrics},
                     account_options(options));
    deadlines.emplace(executor,
                      ops::deadline_poller::parts{*c.database, *commands, c.clock, c.metrics},
                      ops::deadline_settings{.job = job_options(options, c.random)});
    erasures.emplace(executor,
                     ops::erasure_worker::parts{*c.database, *accounts, *commands, *queries,
                                                *progress, *c.store, c.clock, c.metrics},
                     erasure_options(options, c.random));
    api::application::settings listening_options = api_options(options);
    listening_options.http.may_accept = [&c] { return c.descriptors.is_whole(); };
    api.emplace(executor, std::move(listening_options),
                api::services{.accounts = *accounts,
                              .commands = *commands,
                              .views = *views,
                              .queries = *queries,
                              .progress = *progress,
                              .store = *c.store,
                              .database = *c.database,
                              .redis = c.redis.get(),
                              .presence = caches != nullptr ? caches->online() : nullptr,
                              .catalog = catalog,
                              .metrics = c.metrics,
                              .version = std::string(version_text()),
                              .more_components = managed_components(c.services)},
                c.clock, c.random);
}

base::status server::parts::begin(const data_folder& folder) {
    core& c = *base_parts;
    if (shared) {
        shared->start();
    }
    if (auto started = c.engine.run(projector->start()); !started) {
        return started;
    }
    projecting = true;
    if (c.log == nullptr) { // and the read model has accepted it
        if (auto kept = folder.remember_remote(without_password(options.event_store.uri)); !kept) {
            base::log_warning("app", "the next start does not know the event store",
                              {{"why", kept.error().message}});
        }
    }
    if (shared && options.cache.warm_up) {
        background->spawn(fill(*shared), "warm_up");
    }
    accounts->start();
    deadlines->start();
    erasures->start();
    working = true;
    const operation_parts uses{c.log.get(), *c.store, c.database.get(),
                               shared ? &*shared : nullptr};
    auto controlled = serve_operations(c.engine.executor(), folder.path(), uses);
    if (!controlled) {
        return base::fail(std::move(controlled.error()));
    }
    control = std::move(*controlled);
    // HTTP comes last: who gets an answer there may take it that the start is over, and gRPC ends
    // the process when it finds no descriptor while it starts.
    if (auto started = begin_protocol(); !started) {
        return started;
    }
    auto started = api->start();
    listening = started.has_value();
    return started;
}

base::status server::parts::begin_protocol() {
    if (!serves_protocol(options, server_kind::game)) {
        return {};
    }
    auto chosen = esdb_options(options);
    if (!chosen) {
        return base::fail(chosen.error());
    }
    core& c = *base_parts;
    if (c.log != nullptr) {
        chosen->operations.scavenges = &c.log->scavenges();
    }
    chosen->kept = game_streams();
    chosen->metrics = &c.metrics;
    chosen->server.may_accept = [&c] { return c.descriptors.is_whole(); };
    protocol = std::make_unique<esdb::protocol_server>(c.engine, *c.store, c.clock, c.random,
                                                       std::move(*chosen));
    auto started = protocol->start();
    serving_protocol = started.has_value();
    return started;
}

void server::parts::end() {
    if (std::exchange(stopped, true) || base_parts == nullptr) {
        return;
    }
    core& c = *base_parts;
    const stop_schedule schedule(options.server.stop_timeout);
    c.guardian.end_by(schedule.services());
    runtime::task_group cutting(c.engine.executor(), "stop");
    cutting.spawn(cut_off(c, stop_schedule::left_until(schedule.services())), "cut off");
    end_interfaces(schedule);
    end_work(schedule);
    (void)c.engine.run(cutting.stop(10 * cut_limit)); // it ends by itself, long before
}

void server::parts::end_interfaces(const stop_schedule& schedule) {
    core& c = *base_parts;
    std::future<bool> http; // both interfaces have the same time
    const milliseconds limit = stop_schedule::left_until(schedule.requests());
    if (listening) {
        http = boost::asio::co_spawn(boost::asio::make_strand(c.engine.executor()),
                                     api->stop(limit), boost::asio::use_future);
    }
    if (serving_protocol) {
        protocol->stop(limit);
    }
    if (http.valid() && !http.get()) {
        base::log_warning("app", "requests were cut off by the stop");
    }
}

void server::parts::end_work(const stop_schedule& schedule) {
    core& c = *base_parts;
    if (control) {
        c.engine.run(control->stop());
    }
    if (background) {
        (void)c.engine.run(
            background->stop(stop_schedule::left_until(schedule.services()) + cut_limit));
    }
    if (working) {
        c.engine.run(deadlines->stop());
        c.engine.run(erasures->stop());
    }
    if (accounts) {
        c.engine.run(accounts->stop());
    }
    if (commands) {
        c.engine.run(commands->stop());
    }
    if (projecting) {
        c.engine.run(projector->stop());
    }
    if (progress) {
        progress->stop();
    }
    if (shared) {
        c.engine.run(shared->stop());
    }
}

server::server(std::unique_ptr<parts> owned) : parts_(std::move(owned)) {}

server::~server() {
    stop();
}

base::result<std::unique_ptr<server>>
server::start(const data_folder& folder, runtime::guardian& parent, const settings& options) {
    auto opened = core::open(folder, parent, options, backing::redis_use::wanted,
                             data_folder::when_absent::make);
    if (!opened) {
        return base::fail(opened.error());
    }
    std::unique_ptr<server> made(new server(std::make_unique<parts>(options)));
    made->parts_->base_parts = std::move(*opened);
    made->parts_->make();
    if (auto begun = made->parts_->begin(folder); !begun) {
        return base::fail(begun.error());
    }
    return made;
}

void server::stop() {
    parts_->end();
}

std::uint16_t server::port() const {
    return parts_->api->port();
}

std::optional<esdb::first_user> server::first_administrator() const {
    return parts_->protocol ? parts_->protocol->first_administrator() : std::nullopt;
}

base::status server::renew_certificates(esdb::tls_settings tls) {
    return parts_->protocol->renew_certificates(std::move(tls));
}

bool server::serves_tls() const {
    return parts_->serving_protocol && !parts_->options.esdb.tls_certificate.empty();
}

std::vector<service_line> server::service_lines() const {
    std::vector<service_line> out = parts_->base_parts->services.lines();
    if (parts_->serving_protocol) {
        out.push_back({"EventStoreDB", "gRPC", parts_->protocol->connection_string()});
    }
    return out;
}

} // namespace immortal::app
