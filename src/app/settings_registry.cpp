// The list of keys. Names and defaults here are a promise to operators: a renamed key breaks their
// files.
#include "app/settings.hpp"

namespace immortal::app {
namespace {

constexpr double port_max = 65535;
constexpr std::int64_t mebibyte = std::int64_t{1} << 20;

using base::config_registry;

std::int64_t whole(std::int64_t value) {
    return value;
}

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
              .doc = "How long a stop waits for work in progress before it is cut off.",
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
                     "believed: limits then count the client that it names last."})
        .add({.name = "http.connections_max",
              .fallback = whole(4096),
              .doc = "Connections open at once; more are answered 503 and closed.",
              .minimum = 1,
              .maximum = 1'000'000})
        .add({.name = "http.connections_per_source_max",
              .fallback = whole(1024),
              .doc = "Connections open at once from one address; more are closed at once.",
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

void add_esdb_keys(config_registry& registry) {
    registry
        .describe_section("esdb", "The EventStoreDB protocol (gRPC), for official clients of the "
                                  "event store.")
        .add({.name = "esdb.enabled",
              .fallback = true,
              .doc = "Whether `immortal serve` serves it, if the event store is the embedded one; "
                     "`immortal store serve` always does."})
        .add({.name = "esdb.address",
              .fallback = std::string("localhost"),
              .doc = "Numeric address to listen on; localhost means both loopback addresses. "
                     "Beyond loopback only with TLS."})
        .add({.name = "esdb.port",
              .fallback = whole(2113),
              .doc = "Port; 0 takes any free one and prints it.",
              .maximum = port_max})
        .add({.name = "esdb.advertised_host",
              .fallback = std::string(),
              .doc = "Host that clients which discover the server are told; empty: the one by "
                     "which they reached it."})
        .add({.name = "esdb.calls_max",
              .fallback = whole(8192),
              .doc =
                  "Calls in progress at once; more are refused. Three quarters may be "
                  "subscriptions and other lasting calls; an eighth is kept for appends, and one "
                  "for short calls. With TLS one login or address may have half of it, all "
                  "without a login together a sixteenth.",
              .minimum = 1,
              .maximum = 1'000'000})
        .add({.name = "esdb.tls_certificate",
              .fallback = std::string(),
              .doc = "File with the server's certificate chain (PEM); empty: no TLS."})
        .add({.name = "esdb.tls_key",
              .fallback = std::string(),
              .doc = "File with the certificate's private key (PEM)."})
        .add({.name = "esdb.tls_client_authority",
              .fallback = std::string(),
              .doc = "File with the authorities of client certificates (PEM); empty: clients are "
                     "not asked for one."})
        .add({.name = "esdb.tls_client_required",
              .fallback = false,
              .doc = "Refuse clients without a valid certificate."})
        .add({.name = "esdb.anonymous_streams",
              .fallback = false,
              .doc = "With TLS there are users and access lists; whether clients without "
                     "credentials may use streams that are open to $all."})
        .add({.name = "esdb.group_bytes_max",
              .fallback = whole(256 * mebibyte),
              .doc = "Events that all persistent subscriptions hold in memory together; one of "
                     "them never holds more than 64 MiB.",
              .minimum = mebibyte,
              .maximum = 65'536.0 * mebibyte});
}

void add_esdb_limit_keys(config_registry& registry) {
    registry
        .add({.name = "esdb.append_bytes_max",
              .fallback = 64 * mebibyte,
              .doc = "Bytes of one append: data, metadata and types of all its events.",
              .minimum = 1024,
              .maximum = static_cast<double>(64 * mebibyte)})
        .add({.name = "esdb.commit_timeout_ms",
              .fallback = whole(10'000),
              .doc = "From a complete append to its answer; later the client is told that it timed "
                     "out.",
              .minimum = 100,
              .maximum = 600'000})
        .add({.name = "esdb.unfinished_bytes_max",
              .fallback = 512 * mebibyte,
              .doc = "Bytes that unfinished appends of all clients hold together. With TLS one "
                     "login or address may hold half of it, all without a login together a "
                     "sixteenth.",
              .minimum = static_cast<double>(mebibyte)})
        .add({.name = "esdb.receive_bytes_max",
              .fallback = 512 * mebibyte,
              .doc = "Bytes that messages hold which have not arrived as a whole, and network "
                     "buffers; beyond it calls are cut off.",
              .minimum = static_cast<double>(128 * mebibyte)})
        .add({.name = "esdb.first_message_timeout_ms",
              .fallback = whole(10'000),
              .doc = "How long a call may take to send its first message.",
              .minimum = 100,
              .maximum = 600'000})
        .add({.name = "esdb.message_timeout_ms",
              .fallback = whole(30'000),
              .doc = "How long a message may take that carries events.",
              .minimum = 100,
              .maximum = 600'000});
}

void add_event_log_keys(config_registry& registry) {
    registry.describe_section("event_log", "The embedded event store.")
        .add({.name = "event_log.segment_bytes",
              .fallback = whole(256 * mebibyte),
              .doc = "Size of one segment file.",
              .minimum = mebibyte,
              .maximum = 4096.0 * mebibyte})
        .add({.name = "event_log.free_bytes_min",
              .fallback = whole(256 * mebibyte),
              .doc =
                  "Writes are refused while the disk has less free space than this; they resume by "
                  "themselves.",
              .minimum = 0})
        .add({.name = "event_log.scavenge_reserve",
              .fallback = true,
              .doc = "Keep a file of a segment's size, once the log has more than one segment, so "
                     "that a full disk can be scavenged."})
        .add({.name = "event_log.open_segments_max",
              .fallback = whole(256),
              .doc = "Closed segments whose files are open at the same time, at most an eighth of "
                     "the process's limit of open files; others are opened when they are read.",
              .minimum = 4,
              .maximum = 100'000})
        .add({.name = "event_log.queue_max",
              .fallback = whole(4096),
              .doc = "Appends that may wait for the writer; more are refused with 503.",
              .minimum = 1,
              .maximum = 1'000'000})
        .add({.name = "event_log.append_events_max",
              .fallback = whole(131'072),
              .doc = "Events of one append; more are refused as too large.",
              .minimum = 1,
              .maximum = 131'072})
        .add({.name = "event_log.append_bytes_max",
              .fallback = whole(72 * mebibyte),
              .doc =
                  "Size of one append as it stands in the log, with a header of 64 bytes and the "
                  "stream's name for each event; a larger one is refused.",
              .minimum = mebibyte,
              .maximum = 72.0 * mebibyte})
        .add({.name = "event_log.clock_jump_seconds",
              .fallback = whole(60),
              .doc = "A jump of the machine's clock by so much is reported and not believed at "
                     "once: events are stamped by the time that went by. 0: always believed. See "
                     "docs/operations.md.",
              .minimum = 0,
              .maximum = 86'400})
        .add({.name = "event_log.clock_hold_seconds",
              .fallback = whole(600),
              .doc = "How long such a jump must last until it is believed.",
              .minimum = 0,
              .maximum = 86'400})
        .add({.name = "event_log.index_correlations",
              .fallback = true,
              .doc = "Find events by the $correlationId in their metadata. A change makes the "
                     "index anew at the next start."})
        .add({.name = "event_log.index_cache_bytes",
              .fallback = whole(64 * mebibyte),
              .doc = "Memory for blocks of the event log's index.",
              .minimum = mebibyte});
}

// Under the names that the game's configuration always had.
void add_event_store_keys(config_registry& registry) {
    constexpr std::int64_t hour_ms = 3'600'000;
    registry.describe_section("event_store", "Where the events are kept.")
        .add({.name = "event_store.uri",
              .fallback = std::string(),
              .doc = "Empty: the embedded event store in the data folder. Else a connection string "
                     "(kurrentdb://host:port?tls=false and the like) of KurrentDB 25.1 or later, "
                     "or of `immortal store serve`. What the string names goes before the keys "
                     "below. See docs/remote-store.md.",
              .secret = true})
        .add({.name = "event_store.gossipTimeout",
              .fallback = whole(3000),
              .doc = "How long a node has to say who belongs to the cluster, milliseconds.",
              .minimum = 1,
              .maximum = hour_ms})
        .add({.name = "event_store.discoverAttempts",
              .fallback = whole(3),
              .doc = "How often the nodes are looked for at the start, before it is refused.",
              .minimum = 1,
              .maximum = 1000})
        .add({.name = "event_store.maxDiscoverAttempts",
              .fallback = whole(10),
              .doc = "How often they are looked for when a call finds none, before the call fails.",
              .minimum = 1,
              .maximum = 1000})
        .add({.name = "event_store.requireMaster",
              .fallback = false,
              .doc = "Read from the leader even if nodePreference in the connection string names "
                     "other nodes. Writes always go to the leader."})
        .add({.name = "event_store.reconnectionDelay",
              .fallback = whole(100),
              .doc = "First pause before a lost connection is made again, milliseconds.",
              .minimum = 1,
              .maximum = hour_ms})
        .add({.name = "event_store.operationTimeout",
              .fallback = whole(7000),
              .doc = "How long one call of the event store may take, milliseconds.",
              .minimum = 10,
              .maximum = hour_ms})
        .add({.name = "event_store.operationTimeoutCheckPeriod",
              .fallback = whole(1000),
              .doc =
                  "How often the store is asked for its newest event, and so whether it answers, "
                  "milliseconds.",
              .minimum = 10,
              .maximum = hour_ms})
        .add({.name = "event_store.epoch",
              .fallback = whole(1),
              .doc = "Raise it after the remote store was restored from a backup: what was derived "
                     "from the lost events is then refused and rebuilt.",
              .minimum = 1,
              .maximum = 1'000'000'000});
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
    registry.describe_section("object_store", "Images and audio.")
        .add({.name = "object_store.uri",
              .fallback = std::string(),
              .doc = "Not used by this version.",
              .secret = true});
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
