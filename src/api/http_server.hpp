// The HTTP/1.1 listener: connections, limits, timeouts, graceful stop. It knows nothing of routes.
#pragma once

#include "api/message.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace immortal::api {

using boost::asio::awaitable;
using std::chrono::milliseconds;

struct http_settings {
    std::vector<std::string> addresses = {"127.0.0.1", "::1"}; // numeric
    std::uint16_t port = 8080; // 0: any free one, the same for all addresses

    std::size_t header_size_max = 16 * 1024; // request line and header fields, bytes
    std::size_t header_fields_max = 64;
    std::size_t body_size_max = 64 * 1024;
    std::size_t connections_max = 4'096;
    std::size_t connections_per_source_max = 1'024;

    milliseconds read_timeout{10'000};  // from the first byte of a request to its last
    milliseconds idle_timeout{60'000};  // between requests
    milliseconds write_timeout{30'000}; // one answer
    // Then the client gets a 503; the work itself is not cut short, so a command's outcome is found
    // by repeating it with the same key.
    milliseconds request_timeout{10'000};

    // Asked before each connection is accepted, on the acceptor's thread: false, it waits. Empty:
    // always.
    std::function<bool()> may_accept = {};

    // Peers whose X-Forwarded-For is believed (its last entry is then the source). Their
    // connections are bounded by connections_max only.
    std::vector<std::string> trusted_proxies = {};
};

// Answers one request. Runs on the connection's strand; `asked` outlives the coroutine. An
// exception that leaves it becomes a 500 without details.
using http_handler = std::function<awaitable<response>(const request& asked)>;

// Thread-safe. Each connection runs on its own strand of `executor`, requests of a connection in
// order. Whatever goes wrong with framing (RFC 9112) is answered here with a problem document and
// ends the connection.
class http_server {
public:
    http_server(boost::asio::any_io_executor executor, http_settings settings, http_handler handler,
                base::metrics& metrics);
    ~http_server(); // after stop(), or never started
    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;

    // Binds and accepts. An address whose family this machine lacks is left out as long as one is
    // bound. Errors: unavailable (the message names address and port).
    [[nodiscard]] base::status start();
    // Refuses new connections and closes those that are idle or have sent a part of a request only.
    // Requests that had wholly arrived are finished; their answers are written as long as the
    // client takes some of it each second. What is left at `deadline` is dropped. True: nothing had
    // to be dropped.
    awaitable<bool> stop(milliseconds deadline);

    [[nodiscard]] std::uint16_t port() const; // the bound one, after start()
    [[nodiscard]] std::size_t connections() const;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace immortal::api
