// SIGHUP: what a running server takes anew from its configuration.
#pragma once

#include "app/cli.hpp"
#include "app/settings.hpp"
#include "app/settings_check.hpp"
#include "base/result.hpp"
#include "esdb/server.hpp"

#include <functional>
#include <future>
#include <optional>
#include <string>
#include <utility>

namespace immortal::app {

// The log's level and the contents of the TLS files take effect at once, the latter for new
// connections if there is TLS; what else has changed is named in the log and waits for the next
// start. A configuration that a start would refuse, certificates included, changes nothing, and the
// log says why. One thread.
class reloader {
public:
    using renewal = std::function<base::status(esdb::tls_settings)>;

    // Reads `source`, which is what the server is started with: before it starts.
    reloader(const configuration& source, server_kind kind);

    // For a server that serves with TLS; before the first request().
    void renew_with(renewal renew) { renew_ = std::move(renew); }

    // Begins to read, on a thread of its own: a disk or a network file system may not answer. While
    // it reads a further request counts once, and is read for after it.
    void request();
    // Lets what has been read take effect. True: a reading is under way.
    bool advance();
    // Ends the process at once with `code` if a reading is still under way, which nothing can end:
    // for a server that has stopped, before what its thread may use is destroyed.
    void abandon_reading(int code) const;

private:
    struct reading {
        base::config config;
        settings fresh;
        std::optional<esdb::tls_settings> tls; // what there is to renew
    };
    static base::result<reading> read(const configuration& source, server_kind kind);
    void begin();
    void apply(base::result<reading> done);
    void report_waiting(const base::config& fresh, bool renews);

    const configuration& source_;
    server_kind kind_;
    renewal renew_;
    std::string started_with_;                   // the values in force, a key a line
    std::future<base::result<reading>> reading_; // valid: under way, or not yet taken
    bool requested_ = false;                     // once more
};

} // namespace immortal::app
