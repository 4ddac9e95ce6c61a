// The composition root of `immortal store serve`: the event log and the EventStoreDB protocol.
#pragma once

#include "app/data_folder.hpp"
#include "app/settings.hpp"
#include "base/result.hpp"
#include "esdb/protocol_server.hpp"

#include <memory>
#include <optional>
#include <string>

namespace immortal::app {

class store_server {
public:
    // Opens the log and serves it. The arguments outlive it. Blocks. Errors: a sentence for the
    // operator; nothing is left running then.
    [[nodiscard]] static base::result<std::unique_ptr<store_server>>
    start(const data_folder& folder, const settings& options, esdb::protocol_settings protocol);

    ~store_server(); // stop()
    store_server(const store_server&) = delete;
    store_server& operator=(const store_server&) = delete;

    // Lets running calls finish; the whole stop has server.stop_timeout_ms. Blocks.
    void stop();

    [[nodiscard]] std::string connection_string() const;
    // Of the event store's first user, if this start made it.
    [[nodiscard]] std::optional<esdb::first_user> first_administrator() const;
    // As of server.hpp.
    [[nodiscard]] base::status renew_certificates(esdb::tls_settings tls);

private:
    struct parts;
    explicit store_server(std::unique_ptr<parts> owned);
    std::unique_ptr<parts> parts_;
};

} // namespace immortal::app
