#include "app/settings_check.hpp"

#include "app/esdb_options.hpp"
#include "app/http_address.hpp"
#include "esdb/certificates.hpp"
#include "esdb/listening.hpp"
#include "eventstore/connection_string.hpp"
#include "postgres/connection_string.hpp"
#include "redis/endpoint.hpp"

namespace immortal::app {

namespace {

base::status refuse(const std::string& key, const std::string& why) {
    return base::fail(base::errc::invalid_argument, key + ": " + why);
}

base::status check_services(const settings& options) {
    if (const std::string& uri = options.redis.uri; !uri.empty()) {
        if (const auto parsed = redis::parse_endpoint(uri); !parsed) {
            return refuse("redis.uri", parsed.error().message + ".");
        }
    }
    if (const std::string& uri = options.postgres.uri;
        !uri.empty() && !postgres::is_connection_string(uri)) {
        return base::fail(base::errc::invalid_argument,
                          "postgres.uri cannot be read; write "
                          "postgresql://[user[:password]@]host[:port]/database, with odd "
                          "characters percent-encoded.");
    }
    if (const std::string& uri = options.event_store.uri; !uri.empty()) {
        if (const auto parsed = eventstore::parse_connection_string(uri); !parsed) {
            return refuse("event_store.uri", parsed.error().message);
        }
    }
    return {};
}

// Whether a listener on one of them, each the text of one numeric address, keeps the other one from
// its port. The protocol's listener on "::" takes IPv4 too, every other one its own family only.
bool overlap(const std::string& protocol, const std::string& http) {
    const bool same_family = is_ipv6_address(protocol) == is_ipv6_address(http);
    if (is_any_address(protocol) && (same_family || is_ipv6_address(protocol))) {
        return true;
    }
    return same_family && (is_any_address(http) || is_same_address(protocol, http));
}

bool any_overlap(const std::string& protocol, const std::string& http) {
    for (const std::string& address : numeric_addresses(protocol)) {
        for (const std::string& other : numeric_addresses(http)) {
            if (overlap(address, other)) {
                return true;
            }
        }
    }
    return false;
}

base::status check_listening(const settings& options, server_kind kind) {
    const esdb_settings& in = options.esdb;
    if (kind == server_kind::game && in.port != 0 && in.port == options.http.port &&
        any_overlap(in.address, options.http.address)) {
        return refuse("http.port, esdb.port", "both interfaces cannot listen on port " +
                                                  std::to_string(in.port) +
                                                  "; give them different ports.");
    }
    if (!in.tls_certificate.empty()) {
        return {};
    }
    for (const std::string& address : numeric_addresses(in.address)) {
        if (!esdb::is_loopback(address)) {
            return refuse("esdb.address",
                          "the event store listens on '" + address +
                              "' only with TLS: give it a certificate and a key "
                              "(esdb.tls_certificate, esdb.tls_key), or a loopback address.");
        }
    }
    return {};
}

base::status check_protocol(const settings& options) {
    const auto made = esdb_options(options);
    if (!made) {
        return base::fail(made.error());
    }
    if (made->server.tls) {
        if (auto usable = esdb::check_certificates(*made->server.tls); !usable) {
            return refuse("esdb.tls_certificate, esdb.tls_key", usable.error().message);
        }
    }
    return {};
}

} // namespace

bool serves_protocol(const settings& options, server_kind kind) {
    // Clients of a remote store talk to that store.
    return kind == server_kind::store || (options.esdb.enabled && options.event_store.uri.empty());
}

base::status check_settings(const settings& options, server_kind kind) {
    if (options.server.data.empty()) {
        return base::fail(base::errc::invalid_argument, "server.data: the name of the data folder "
                                                        "is empty; name a folder with --data.");
    }
    if (auto proxies = trusted_proxies(options.http); !proxies) {
        return base::fail(proxies.error());
    }
    if (auto numeric = check_address("http.address", options.http.address); !numeric) {
        return numeric;
    }
    if (auto numeric = check_address("esdb.address", options.esdb.address); !numeric) {
        return numeric;
    }
    if (auto readable = check_services(options); !readable) {
        return readable;
    }
    if (!serves_protocol(options, kind)) {
        return {};
    }
    if (auto possible = check_listening(options, kind); !possible) {
        return possible;
    }
    return check_protocol(options);
}

} // namespace immortal::app
