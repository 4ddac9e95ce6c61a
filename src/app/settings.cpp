#include "app/settings.hpp"

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace immortal::app {
namespace {

template <typename T>
T whole(const base::config& config, std::string_view key) {
    return static_cast<T>(config.integer(key)); // the registry keeps the range
}

milliseconds millis(const base::config& config, std::string_view key) {
    return milliseconds(config.integer(key));
}

base::log_level level_of(const std::string& name) {
    if (name == "debug")
        return base::log_level::debug;
    if (name == "warning")
        return base::log_level::warning;
    if (name == "error")
        return base::log_level::error;
    return name == "off" ? base::log_level::off : base::log_level::info;
}

http_settings read_http(const base::config& c) {
    return {.address = c.text("http.address"),
            .port = whole<std::uint16_t>(c, "http.port"),
            .trusted_proxies = c.text("http.trusted_proxies"),
            .connections_max = whole<std::size_t>(c, "http.connections_max"),
            .connections_per_source_max = whole<std::size_t>(c, "http.connections_per_source_max"),
            .body_bytes_max = whole<std::size_t>(c, "http.body_bytes_max"),
            .header_bytes_max = whole<std::size_t>(c, "http.header_bytes_max"),
            .read_timeout = millis(c, "http.read_timeout_ms"),
            .idle_timeout = millis(c, "http.idle_timeout_ms"),
            .write_timeout = millis(c, "http.write_timeout_ms"),
            .request_timeout = millis(c, "http.request_timeout_ms"),
            .after_timeout = millis(c, "http.after_timeout_ms")};
}

esdb_settings read_esdb(const base::config& c) {
    return {.enabled = c.boolean("esdb.enabled"),
            .address = c.text("esdb.address"),
            .port = whole<std::uint16_t>(c, "esdb.port"),
            .advertised_host = c.text("esdb.advertised_host"),
            .calls_max = whole<std::size_t>(c, "esdb.calls_max"),
            .append_bytes_max = whole<std::size_t>(c, "esdb.append_bytes_max"),
            .unfinished_bytes_max = whole<std::size_t>(c, "esdb.unfinished_bytes_max"),
            .receive_bytes_max = whole<std::size_t>(c, "esdb.receive_bytes_max"),
            .commit_timeout = millis(c, "esdb.commit_timeout_ms"),
            .first_message_timeout = millis(c, "esdb.first_message_timeout_ms"),
            .message_timeout = millis(c, "esdb.message_timeout_ms"),
            .answer_timeout = millis(c, "esdb.answer_timeout_ms"),
            .receiving_max = whole<std::size_t>(c, "esdb.receiving_max"),
            .tls_certificate = c.text("esdb.tls_certificate"),
            .tls_key = c.text("esdb.tls_key"),
            .tls_client_authority = c.text("esdb.tls_client_authority"),
            .tls_client_required = c.boolean("esdb.tls_client_required"),
            .anonymous_streams = c.boolean("esdb.anonymous_streams"),
            .hashes_at_once = whole<unsigned>(c, "esdb.hashes_at_once"),
            .hash_queue_max = whole<std::size_t>(c, "esdb.hash_queue_max"),
            .group_bytes_max = static_cast<std::size_t>(c.integer("esdb.group_bytes_max"))};
}

limit_settings read_limits(const base::config& c) {
    return {.requests_per_second = c.number("limits.requests_per_second"),
            .requests_burst = c.number("limits.requests_burst"),
            .logins_per_minute = c.number("limits.logins_per_minute"),
            .registrations_per_hour = c.number("limits.registrations_per_hour"),
            .commands_per_second = c.number("limits.commands_per_second"),
            .commands_burst = c.number("limits.commands_burst")};
}

account_settings read_accounts(const base::config& c) {
    return {.session_idle = std::chrono::minutes(c.integer("accounts.session_idle_minutes")),
            .session_absolute = std::chrono::hours(c.integer("accounts.session_absolute_hours")),
            .sessions_max = whole<std::size_t>(c, "accounts.sessions_max"),
            .hashes_at_once = whole<unsigned>(c, "accounts.hashes_at_once"),
            .hash_queue_max = whole<std::size_t>(c, "accounts.hash_queue_max")};
}

command_settings read_commands(const base::config& c) {
    return {.timeout = millis(c, "commands.timeout_ms"),
            .attempts_max = whole<unsigned>(c, "commands.attempts_max"),
            .aggregates_max = whole<std::size_t>(c, "commands.aggregates_max"),
            .waiting_max = whole<std::size_t>(c, "commands.waiting_max"),
            .snapshot_every = whole<std::uint64_t>(c, "commands.snapshot_every")};
}

} // namespace

base::result<base::config> load_config(const std::optional<std::filesystem::path>& file,
                                       const std::vector<flag_value>& flags) {
    base::config config(settings_registry());
    const char* named = std::getenv("IMMORTAL_CONFIG");
    const std::filesystem::path path = file ? *file : std::filesystem::path(named ? named : "");
    if (!path.empty()) {
        if (auto done = config.load_file(path); !done)
            return base::fail(std::move(done).error());
    }
    if (auto done = config.load_environment(); !done)
        return base::fail(std::move(done).error());
    for (const flag_value& given : flags) {
        if (auto done = config.set_flag(given.flag, given.key, given.value); !done)
            return base::fail(std::move(done).error());
    }
    return config;
}

event_store_settings read_event_store(const base::config& c) {
    return {.uri = c.text("event_store.uri"),
            .gossip_timeout = millis(c, "event_store.gossipTimeout"),
            .discover_attempts = whole<unsigned>(c, "event_store.discoverAttempts"),
            .discover_attempts_max = whole<unsigned>(c, "event_store.maxDiscoverAttempts"),
            .leader_only = c.boolean("event_store.requireMaster"),
            .reconnection_delay = millis(c, "event_store.reconnectionDelay"),
            .operation_timeout = millis(c, "event_store.operationTimeout"),
            .check_period = millis(c, "event_store.operationTimeoutCheckPeriod"),
            .epoch = whole<std::uint32_t>(c, "event_store.epoch")};
}

settings read_settings(const base::config& c) {
    const auto threads = whole<unsigned>(c, "server.threads");
    return {
        .server = {.data = c.text("server.data"),
                   .threads =
                       threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency()),
                   .stop_timeout = millis(c, "server.stop_timeout_ms")},
        .http = read_http(c),
        .esdb = read_esdb(c),
        .event_store = read_event_store(c),
        .event_log = {.segment_bytes = whole<std::uint64_t>(c, "event_log.segment_bytes"),
                      .free_bytes_min = whole<std::uint64_t>(c, "event_log.free_bytes_min"),
                      .scavenge_reserve = c.boolean("event_log.scavenge_reserve"),
                      .open_segments_max = whole<std::size_t>(c, "event_log.open_segments_max"),
                      .queue_max = whole<std::size_t>(c, "event_log.queue_max"),
                      .append_events_max = whole<std::size_t>(c, "event_log.append_events_max"),
                      .append_bytes_max = whole<std::size_t>(c, "event_log.append_bytes_max"),
                      .clock_jump = milliseconds(
                          1000 * whole<std::int64_t>(c, "event_log.clock_jump_seconds")),
                      .clock_hold = milliseconds(
                          1000 * whole<std::int64_t>(c, "event_log.clock_hold_seconds")),
                      .index_correlations = c.boolean("event_log.index_correlations"),
                      .index_cache_bytes = whole<std::size_t>(c, "event_log.index_cache_bytes")},
        .postgres = {.uri = c.text("postgres.uri"),
                     .connections = whole<std::size_t>(c, "postgres.connections"),
                     .statement_timeout = millis(c, "postgres.statement_timeout_ms")},
        .redis = {.uri = c.text("redis.uri"),
                  .connections = whole<std::size_t>(c, "redis.connections"),
                  .timeout = millis(c, "redis.timeout_ms")},
        .time_scale = c.number("game.time_scale"),
        .unattended_hours = whole<std::int64_t>(c, "game.unattended_hours"),
        .limits = read_limits(c),
        .accounts = read_accounts(c),
        .commands = read_commands(c),
        .cache = {.enabled = c.boolean("cache.enabled"),
                  .local_entries_max = whole<std::size_t>(c, "cache.local_entries_max"),
                  .warm_up = c.boolean("cache.warm_up")},
        .projector = {.batch_events_max = whole<std::size_t>(c, "projector.batch_events_max")},
        .jobs = {.interval = millis(c, "jobs.interval_ms"), .lease = millis(c, "jobs.lease_ms")},
        .log_level = level_of(c.text("log.level")),
        .log_format =
            c.text("log.format") == "json" ? base::log_format::json : base::log_format::text,
    };
}

} // namespace immortal::app
