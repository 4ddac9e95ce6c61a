// The whole protocol over one event store: every service, entered into one table, on one port.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "esdb/server.hpp"
#include "eventstore/event_store.hpp"

#include <memory>

namespace immortal::esdb {

struct protocol_settings {
    server_settings server = {};
    std::string advertised_host = {}; // for Gossip; empty: as the client called us
    milliseconds write_limit{10'000}; // from a complete append to its answer
};

// Thread-safe. What it is given outlives it.
class protocol_server {
public:
    protocol_server(runtime::engine& engine, eventstore::event_store& store, base::clock& clock,
                    base::random_source& random, protocol_settings settings);
    ~protocol_server(); // after stop(), or never started
    protocol_server(const protocol_server&) = delete;
    protocol_server& operator=(const protocol_server&) = delete;

    // As server::start() and stop().
    [[nodiscard]] base::status start();
    void stop(milliseconds limit);

    [[nodiscard]] std::uint16_t port() const; // after start()
    // "esdb://localhost:2113?tls=false", for a client on this machine; after start().
    [[nodiscard]] std::string connection_string() const;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

} // namespace immortal::esdb
