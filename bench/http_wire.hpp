// A lean HTTP/1.1 client for load: keep-alive, one request at a time, no pipelining. It reads what
// a server with Content-Length sends and trusts it otherwise; measured, not robust.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace immortal::bench {

struct wire_answer {
    unsigned status = 0;
    std::string_view body; // valid until the next exchange
};

class wire {
public:
    // Connects to 127.0.0.1. Throws boost::system::system_error, as exchange() does.
    static boost::asio::awaitable<wire> connect(std::uint16_t port);
    boost::asio::awaitable<wire_answer> exchange(const std::string& request);

private:
    explicit wire(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
    boost::asio::ip::tcp::socket socket_;
    std::string buffer_;
};

// One request as bytes. Empty arguments are left out.
[[nodiscard]] std::string request_text(std::string_view verb, std::string_view target,
                                       std::string_view token = {}, std::string_view body = {},
                                       std::string_view idempotency_key = {});

// The member's text or number in a flat JSON object, as it stands there; empty: not found.
[[nodiscard]] std::string member_text(std::string_view body, std::string_view name);

} // namespace immortal::bench
