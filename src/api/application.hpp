// The HTTP interface of the process: listener, dispatcher and routes put together.
#pragma once

#include "api/dispatcher.hpp"
#include "api/http_server.hpp"
#include "api/rate_limiter.hpp"
#include "api/services.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <vector>

namespace immortal::api {

// Thread-safe. stop() is awaited before its end, if it was started.
class application {
public:
    struct settings {
        http_settings http;
        rate_settings rates;
    };
    // `clock`, `random` and everything in `uses` outlive it.
    application(boost::asio::any_io_executor executor, settings options, services uses,
                const base::clock& clock, base::random_source& random);

    [[nodiscard]] base::status start() { return server_.start(); }
    // Refuses new connections and lets running requests finish. True: nothing had to be dropped.
    awaitable<bool> stop(milliseconds deadline) { return server_.stop(deadline); }

    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    [[nodiscard]] const std::vector<route>& routes() const { return dispatcher_.routes(); }

private:
    services services_;
    dispatcher dispatcher_;
    http_server server_;
};

} // namespace immortal::api
