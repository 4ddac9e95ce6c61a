// The list of keys. Names and defaults here are a promise to operators: a renamed key breaks their
// files.
#include "app/settings_sections.hpp"

namespace immortal::app {
namespace {

using base::config_registry;

void add_server_keys(config_registry& registry) {
    registry.describe_section("server", "The process.")
        .add(
            {.name = "server.data",
             .fallback = std::string("data"),
             .doc =
                 "Folder of everything the server keeps: the event log, the managed PostgreSQL and "
                 "Redis, stored objects. One running server per folder."})
        .add({.name = "server.threads",
              .fallback = whole(0),
              .doc = "Threads that serve requests; 0 means one for each processor.",
              .maximum = 256})
        .add({.name = "server.stop_timeout_ms",
              .fallback = whole(10'000),
              .doc =
                  "How long a whole stop may take. Requests in progress have three quarters of it; "
                  "then PostgreSQL and Redis end or are killed, and the rest, 2 s at most, is for "
                  "closing the event log.",
              .minimum = 100,
              .maximum = 600'000});
    registry.describe_section("log", "The process's own log, on standard error.")
        .add({.name = "log.level",
              .fallback = std::string("info"),
              .doc = "The least important entries that are written.",
              .allowed = {"debug", "info", "warning", "error", "off"}})
        .add({.name = "log.format",
              .fallback = std::string("text"),
              .doc = "One line an entry, for people or for machines.",
              .allowed = {"text", "json"}});
}

void add_http_keys(config_registry& registry) {
    registry.describe_section("http", "The HTTP interface.")
        .add({.name = "http.address",
              .fallback = std::string("localhost"),
              .doc = "Numeric address to listen on; localhost means both loopback addresses. The "
                     "server "
                     "speaks plain HTTP: beyond loopback put a TLS proxy in front."})
        .add({.name = "http.port",
              .fallback = whole(8080),
              .doc = "Port; 0 takes any free one and prints it.",
              .maximum = port_max})
        .add({.name = "http.trusted_proxies",
              .fallback = std::string(),
              .doc = "Numeric addresses, separated by commas, of proxies whose X-Forwarded-For is "
                     "believed: limits then count the client that it names last. Their own "
                     "connections are bounded by http.connections_max only."})
        .add({.name = "http.connections_max",
              .fallback = whole(4096),
              .doc = "Connections open at once; more are answered 503 and closed.",
              .minimum = 1,
              .maximum = 1'000'000})
        .add({.name = "http.connections_per_source_max",
              .fallback = whole(1024),
              .doc = "Connections open at once from one address, other than a trusted proxy; more "
                     "are answered 503 and closed.",
              .minimum = 1,
              .maximum = 1'000'000})
        .add({.name = "http.body_bytes_max",
              .fallback = whole(65'536),
              .doc = "Largest body of a request; a larger one is answered 413.",
              .minimum = 1024,
              .maximum = 16.0 * mebibyte})
        .add({.name = "http.header_bytes_max",
              .fallback = whole(16'384),
              .doc = "Largest head (request line and headers) of a request; a larger one is "
                     "answered 431.",
              .minimum = 1024,
              .maximum = mebibyte})
        .add({.name = "http.read_timeout_ms",
              .fallback = whole(10'000),
              .doc = "How long one whole request may take to arrive.",
              .minimum = 100,
              .maximum = 600'000})
        .add({.name = "http.idle_timeout_ms",
              .fallback = whole(60'000),
              .doc = "How long a connection may stay open between requests.",
              .minimum = 100,
              .maximum = 3'600'000})
        .add({.name = "http.write_timeout_ms",
              .fallback = whole(30'000),
              .doc = "How long a client may take to receive one answer.",
              .minimum = 100,
              .maximum = 600'000})
        .add({.name = "http.request_timeout_ms",
              .fallback = whole(10'000),
              .doc = "How long the server works on one request before it answers 503.",
              .minimum = 100,
              .maximum = 600'000})
        .add(
            {.name = "http.after_timeout_ms",
             .fallback = whole(2'000),
             .doc = "How long a query with ?after= waits for the read model before it answers 503.",
             .minimum = 1,
             .maximum = 60'000});
}

void add_store_keys(config_registry& registry) {
    add_event_store_keys(registry);
    add_event_log_keys(registry);
    registry.describe_section("postgres", "The read model's database and the accounts.")
        .add({.name = "postgres.uri",
              .fallback = std::string(),
              .doc = "libpq URI of a PostgreSQL 15 database. Empty: one that the server starts, "
                     "watches "
                     "and stops itself, in the data folder, on a private Unix socket.",
              .secret = true})
        .add({.name = "postgres.connections",
              .fallback = whole(8),
              .doc = "Connections for queries and commands; the projector has its own.",
              .minimum = 2,
              .maximum = 500})
        .add({.name = "postgres.statement_timeout_ms",
              .fallback = whole(5'000),
              .doc = "How long one statement may run.",
              .minimum = 10,
              .maximum = 600'000});
    registry.describe_section("redis", "The second level of the cache.")
        .add({.name = "redis.uri",
              .fallback = std::string(),
              .doc =
                  "redis://[:password@]host[:port][/database] or unix:///path. Empty: one that the "
                  "server starts, watches and stops itself.",
              .secret = true})
        .add({.name = "redis.connections",
              .fallback = whole(2),
              .doc = "Connections; commands are pipelined on each.",
              .minimum = 1,
              .maximum = 100})
        .add({.name = "redis.timeout_ms",
              .fallback = whole(250),
              .doc = "How long one command may take before the answer is looked for elsewhere.",
              .minimum = 10,
              .maximum = 60'000});
}

void add_game_keys(config_registry& registry) {
    registry.describe_section("game", "The game's rules.")
        .add({.name = "game.time_scale",
              .fallback = 1.0,
              .doc = "How many seconds of game time pass in one second. 3600 lets an hour of "
                     "cultivation pass in a second: for demonstrations.",
              .minimum = 0.001,
              .maximum = 1'000'000})
        .add({.name = "game.unattended_hours",
              .fallback = whole(24),
              .doc = "Hours of game time after which a cultivation session that could be completed "
                     "is completed without its player. Running sessions keep what they began with.",
              .minimum = 1,
              .maximum = 87'600});
    registry.describe_section("commands", "How commands are decided.")
        .add({.name = "commands.timeout_ms",
              .fallback = whole(5'000),
              .doc =
                  "How long one command may take; then the answer is 503 and a retry with the same "
                  "Idempotency-Key finds out.",
              .minimum = 100,
              .maximum = 600'000})
        .add({.name = "commands.attempts_max",
              .fallback = whole(10),
              .doc = "How often a command is decided anew after a conflict.",
              .minimum = 1,
              .maximum = 1000})
        .add({.name = "commands.aggregates_max",
              .fallback = whole(100'000),
              .doc = "Aggregates kept in memory.",
              .minimum = 1,
              .maximum = 100'000'000})
        .add({.name = "commands.waiting_max",
              .fallback = whole(4096),
              .doc = "Commands that may wait at once; more are refused with 503.",
              .minimum = 1,
              .maximum = 1'000'000})
        .add({.name = "commands.snapshot_every",
              .fallback = whole(100),
              .doc = "A snapshot of an aggregate is written every so many events.",
              .minimum = 1,
              .maximum = 1'000'000});
}

void add_limit_keys(config_registry& registry) {
    registry
        .describe_section(
            "limits", "Rate limits. Over a limit the answer is 429 with Retry-After; a limit of 0 "
                      "switches it off.")
        .add({.name = "limits.requests_per_second",
              .fallback = 2000.0,
              .doc = "Requests from one source address.",
              .maximum = 10'000'000})
        .add({.name = "limits.requests_burst",
              .fallback = 4000.0,
              .doc = "Requests that one source address may make at once after a pause.",
              .maximum = 10'000'000})
        .add(
            {.name = "limits.logins_per_minute",
             .fallback = 20.0,
             .doc = "Log-ins, right or wrong, from one source address, checked before any hashing.",
             .maximum = 1'000'000})
        .add({.name = "limits.registrations_per_hour",
              .fallback = 60.0,
              .doc = "New accounts from one source address.",
              .maximum = 1'000'000})
        .add({.name = "limits.commands_per_second",
              .fallback = 20.0,
              .doc = "Commands of one character.",
              .maximum = 1'000'000})
        .add({.name = "limits.commands_burst",
              .fallback = 40.0,
              .doc = "Commands that one character may give at once after a pause.",
              .maximum = 1'000'000});
}

void add_account_keys(config_registry& registry) {
    registry.describe_section("accounts", "Accounts and sessions.")
        .add({.name = "accounts.session_idle_minutes",
              .fallback = whole(30),
              .doc = "A session ends after so long without a request.",
              .minimum = 1,
              .maximum = 525'600})
        .add({.name = "accounts.session_absolute_hours",
              .fallback = whole(12),
              .doc = "A session ends after so long in any case.",
              .minimum = 1,
              .maximum = 8'760})
        .add({.name = "accounts.sessions_max",
              .fallback = whole(16),
              .doc = "Sessions of one account at once; a new log-in ends the oldest.",
              .minimum = 1,
              .maximum = 10'000})
        .add({.name = "accounts.hashes_at_once",
              .fallback = whole(1),
              .doc = "Passwords hashed at the same time (argon2id, 19 MiB, about 60 ms each).",
              .minimum = 1,
              .maximum = 64})
        .add({.name = "accounts.hash_queue_max",
              .fallback = whole(64),
              .doc = "Log-ins and registrations that may wait for hashing; more are answered 429.",
              .minimum = 1,
              .maximum = 100'000});
}

void add_derived_keys(config_registry& registry) {
    registry.describe_section("cache", "The cache in front of the read model.")
        .add({.name = "cache.enabled",
              .fallback = true,
              .doc = "Off: every query goes to PostgreSQL. For comparison and for finding faults."})
        .add({.name = "cache.local_entries_max",
              .fallback = whole(1'000'000),
              .doc =
                  "Entries that the process itself keeps of each kind of value, where the kind's "
                  "own bound is greater; 0: all of them stand in Redis only.",
              .maximum = 100'000'000})
        .add({.name = "cache.warm_up",
              .fallback = true,
              .doc = "Fill the configuration and the leaderboards into the cache at the start."});
    registry.describe_section("projector", "Events into the read model.")
        .add({.name = "projector.batch_events_max",
              .fallback = whole(2000),
              .doc = "Events of one transaction at most.",
              .minimum = 1,
              .maximum = 100'000});
    registry
        .describe_section("jobs", "Work that goes on by itself: what is due, erasures. One process "
                                  "at a time does each.")
        .add({.name = "jobs.interval_ms",
              .fallback = whole(1'000),
              .doc = "From one look at what is to be done to the next.",
              .minimum = 10,
              .maximum = 600'000})
        .add({.name = "jobs.lease_ms",
              .fallback = whole(10'000),
              .doc = "How long after the death of a process another one waits to take over.",
              .minimum = 1'000,
              .maximum = 600'000});
}

} // namespace

const config_registry& settings_registry() {
    static const config_registry registry = [] {
        config_registry made;
        add_server_keys(made);
        add_http_keys(made);
        add_esdb_keys(made);
        add_esdb_limit_keys(made);
        add_store_keys(made);
        add_game_keys(made);
        add_limit_keys(made);
        add_account_keys(made);
        add_derived_keys(made);
        for (const char* prefix :
             {"IMMORTAL_TEST_", "IMMORTAL_LONG", "IMMORTAL_CONFIG", "IMMORTAL_BENCH_"})
            made.ignore_environment(prefix);
        return made;
    }();
    return registry;
}

} // namespace immortal::app
