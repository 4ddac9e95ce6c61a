// The keys of the event store: the protocol, the log, a remote store.
#include "app/settings_sections.hpp"

namespace immortal::app {

using base::config_registry;

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
        .add({.name = "esdb.hashes_at_once",
              .fallback = whole(1),
              .doc = "Passwords of the event store's users hashed at the same time (argon2id, "
                     "19 MiB, about 60 ms each).",
              .minimum = 1,
              .maximum = 64})
        .add({.name = "esdb.hash_queue_max",
              .fallback = whole(128),
              .doc = "Passwords of the event store's users that may wait for hashing, three "
                     "eighths of them guesses of one address, and a quarter as many more of "
                     "that address that matched before; more are refused.",
              .minimum = 1,
              .maximum = 100'000})
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
              .doc =
                  "Bytes that unfinished appends and half-sent messages of all clients hold "
                  "together, as many again that answers of reads hold, and half as many those of "
                  "subscriptions. With TLS one "
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
              .maximum = 600'000})
        .add({.name = "esdb.answer_timeout_ms",
              .fallback = whole(120'000),
              .doc = "A read whose client takes nothing for this long is ended; a subscription "
                     "only if others wait for the room that it holds.",
              .minimum = 100,
              .maximum = 86'400'000})
        .add({.name = "esdb.receiving_max",
              .fallback = whole(16),
              .doc = "Requests of AppendRecords and AppendSession that begin to come in at once; "
                     "with TLS a quarter of them for one login at one address. The others wait.",
              .minimum = 1,
              .maximum = 4'096});
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
              .minimum = 64, // what the server appends itself goes through
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

} // namespace immortal::app
