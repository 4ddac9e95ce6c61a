// A keep-alive HTTP/1.1 client on one connection, for the tools that talk to a running server.
#pragma once

#include "base/result.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace immortal::app {

using boost::asio::awaitable;

struct http_address {
    std::string host;
    std::string port;
};

// "http://host[:port]", nothing behind it. Error: invalid_argument.
[[nodiscard]] base::result<http_address> parse_http_url(const std::string& url);

struct http_call {
    std::string verb; // "GET", "POST", "DELETE"
    std::string target;
    std::string body = {};            // JSON; empty: none
    std::string token = {};           // of the session; empty: not logged in
    std::string idempotency_key = {}; // empty: none
};

struct http_answer {
    unsigned status = 0;
    std::string body;
    std::uint32_t retry_after_s = 0; // the header, 0 without one
};

// One request at a time; use it from one coroutine. It connects when needed, and once more when
// the server has closed an idle connection.
class http_client {
public:
    // `source`: numeric address to connect from; empty: any.
    http_client(http_address server, std::chrono::milliseconds timeout, std::string source = {});
    ~http_client();
    http_client(http_client&&) noexcept;
    http_client& operator=(http_client&&) noexcept;

    // Errors: unavailable (not connected, cut off, or no answer in time: whether the request was
    // carried out is not known). A call with a body and no idempotency key is not repeated.
    awaitable<base::result<http_answer>> send(http_call call);

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::app
