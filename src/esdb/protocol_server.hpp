// The whole protocol over one event store: every service, entered into one table, on one port.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "esdb/append_account.hpp"
#include "esdb/group_memory.hpp"
#include "esdb/operations_service.hpp"
#include "esdb/reserved_streams.hpp"
#include "esdb/server.hpp"
#include "esdb/user_record.hpp"
#include "eventstore/event_store.hpp"

#include <memory>
#include <optional>
#include <string>

namespace immortal::esdb {

// Users and access lists. Without it everybody may do everything.
struct security_settings {
    bool anonymous_streams = false;          // callers without credentials are "$all" too
    std::uint64_t hash_bytes = 19'456 << 10; // argon2id: memory and passes of one hash
    std::uint64_t hash_passes = 2;
    unsigned hashes_at_once = 1;
    std::size_t hash_queue_max = 128; // less than half of it for one address
};

struct protocol_settings {
    server_settings server = {};
    std::string advertised_host = {};               // for Gossip; empty: as the client called us
    std::size_t calls_max = 8'192;                  // in progress at once, of all callers
    std::size_t unfinished_bytes_max = 512u << 20;  // that requests of all callers hold
    append_limits append = {};                      // those of the log, or less
    milliseconds write_limit{10'000};               // from a complete append to its answer
    std::optional<security_settings> security = {}; // wants TLS, except on loopback for tests
    operations_hooks operations = {};
    kept_families kept = {}; // streams of the program around it: clients only read them
    std::size_t group_bytes_max = groups_bytes_max; // events that all groups hold together
    base::metrics* metrics = nullptr; // of the groups; may be null, else outlives this
};

// Thread-safe. What it is given outlives it.
class protocol_server {
public:
    protocol_server(runtime::engine& engine, eventstore::event_store& store, base::clock& clock,
                    base::random_source& random, protocol_settings settings);
    ~protocol_server(); // after stop(), or never started
    protocol_server(const protocol_server&) = delete;
    protocol_server& operator=(const protocol_server&) = delete;

    // As server::start(), after the users were read; and those of the store. Blocks. Persistent
    // subscriptions are loaded afterwards, and answer UNAVAILABLE until they are.
    [[nodiscard]] base::status start();
    // As server::stop(); a scavenge that runs is stopped, and checkpoints are written. Blocks.
    void stop(milliseconds limit);

    // As server::renew_certificates().
    [[nodiscard]] base::status renew_certificates(tls_settings tls);

    // The administrator, if start() made one: show it once.
    [[nodiscard]] const std::optional<first_user>& first_administrator() const;

    [[nodiscard]] std::uint16_t port() const; // after start()
    // "esdb://localhost:2113?tls=false", for a client on this machine; after start().
    [[nodiscard]] std::string connection_string() const;

private:
    [[nodiscard]] base::status begin();

    struct parts;
    std::unique_ptr<parts> parts_;
};

} // namespace immortal::esdb
