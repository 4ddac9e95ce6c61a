// SIGHUP: what a running server takes anew from its configuration.
#pragma once

#include "app/cli.hpp"
#include "app/settings.hpp"
#include "base/result.hpp"
#include "esdb/server.hpp"

#include <functional>
#include <string>

namespace immortal::app {

// The log's level and the contents of the TLS files take effect at once, the latter for new
// connections; what else has changed is named in the log and waits for the next start. A
// configuration or a certificate that cannot be used changes nothing, and the log says so. One
// thread.
class reloader {
public:
    using renewal = std::function<base::status(esdb::tls_settings)>;

    // `source` is what the server was started with. `renew` empty: nothing is served with TLS.
    reloader(const configuration& source, renewal renew);

    void reload();

private:
    void report_waiting(const base::config& fresh);

    const configuration& source_;
    renewal renew_;
    std::string started_with_; // the values in force, a key a line
};

} // namespace immortal::app
