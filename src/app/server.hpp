// The composition root of `immortal serve`: every part of the server, wired explicitly.
#pragma once

#include "app/backing.hpp"
#include "app/data_folder.hpp"
#include "app/settings.hpp"
#include "base/result.hpp"
#include "esdb/server.hpp"
#include "esdb/user_record.hpp"
#include "runtime/guardian.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::app {

class server {
public:
    // Starts everything; it serves when this returns. The arguments outlive it. Blocks. Errors: a
    // sentence for the operator; nothing is left running then.
    [[nodiscard]] static base::result<std::unique_ptr<server>>
    start(const data_folder& folder, runtime::guardian& parent, const settings& options);

    // The reverse: refuses new requests, lets running ones finish, ends projector and jobs. The
    // whole stop, destruction included, has server.stop_timeout_ms: child processes that have not
    // ended before are killed. Blocks. Then the object can only be destroyed.
    void stop();
    ~server(); // stop()
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] std::vector<service_line> service_lines() const; // event store first
    // Of the event store's first user, if this start made it.
    [[nodiscard]] std::optional<esdb::first_user> first_administrator() const;

    // Whether the EventStoreDB protocol is served with TLS.
    [[nodiscard]] bool serves_tls() const;
    // For its new connections. Precondition: serves_tls(). Errors: as
    // esdb::protocol_server::renew_certificates().
    [[nodiscard]] base::status renew_certificates(esdb::tls_settings tls);

private:
    struct parts;
    explicit server(std::unique_ptr<parts> owned);
    std::unique_ptr<parts> parts_;
};

} // namespace immortal::app
