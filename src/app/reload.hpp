// SIGHUP: what a running server takes anew from its configuration.
#pragma once

#include "app/cli.hpp"
#include "app/settings.hpp"
#include "app/settings_check.hpp"
#include "base/result.hpp"
#include "esdb/server.hpp"

#include <functional>
#include <string>

namespace immortal::app {

// The log's level and the contents of the TLS files take effect at once, the latter for new
// connections if there is TLS; what else has changed is named in the log and waits for the next
// start. A configuration that a start would refuse, certificates included, changes nothing, and the
// log says why. One thread.
class reloader {
public:
    using renewal = std::function<base::status(esdb::tls_settings)>;

    // `source` is what the server was started with. `renew` empty: nothing is served with TLS.
    reloader(const configuration& source, server_kind kind, renewal renew);

    void reload();

private:
    void report_waiting(const base::config& fresh, bool renews);

    const configuration& source_;
    server_kind kind_;
    renewal renew_;
    std::string started_with_; // the values in force, a key a line
};

} // namespace immortal::app
