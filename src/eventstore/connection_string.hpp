// Connection strings of EventStoreDB and KurrentDB: where the servers are, and how to talk to them.
//
//   scheme://[login:password@]host[:port][,host[:port]...][/][?key=value&...]
//
// Schemes: esdb, kurrentdb, kurrent, kdb, each also with "+discover". Keys in any case, underscores
// do not count. Pure.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::eventstore {

using std::chrono::milliseconds;

struct endpoint {
    std::string host; // a name or an address, without brackets
    std::uint16_t port = 2113;

    [[nodiscard]] std::string text() const; // "[::1]:2113"
    friend bool operator==(const endpoint&, const endpoint&) = default;
};

enum class node_preference : std::uint8_t { leader, follower, read_only_replica, random };

struct connection_settings {
    std::vector<endpoint> hosts;
    bool discover = false; // "+discover", or several hosts: ask the gossip for a node
    std::optional<std::string> login;
    std::string password;
    bool tls = true;
    bool verify_certificate = true;
    std::string ca_file;        // PEM; empty: the system's authorities
    std::string user_cert_file; // PEM; with user_key_file
    std::string user_key_file;
    std::string connection_name;
    unsigned discover_attempts = 10;
    milliseconds discovery_interval{100};
    milliseconds gossip_timeout{5000};
    node_preference preference = node_preference::leader;
    std::optional<milliseconds> keepalive_interval = milliseconds(10'000); // empty: off
    milliseconds keepalive_timeout{10'000};
    std::optional<milliseconds> default_deadline = {};
    // Which of the keys above the string named, in lower case without underscores.
    std::vector<std::string> given = {};
    std::vector<std::string> unknown = {}; // keys that mean nothing here; the caller may warn

    [[nodiscard]] bool names(std::string_view key) const;
};

// Errors: invalid_argument; the message says which part is wrong and what was expected. It never
// repeats the password.
[[nodiscard]] base::result<connection_settings> parse_connection_string(std::string_view text);

// For people: without login and password.
[[nodiscard]] std::string describe(const connection_settings& of);

} // namespace immortal::eventstore
