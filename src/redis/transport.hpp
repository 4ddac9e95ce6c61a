// Inside the module: a stream of bytes to a server.
#pragma once

#include "redis/endpoint.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/strand.hpp>

#include <memory>
#include <span>
#include <string_view>

namespace immortal::redis {

using boost::asio::awaitable;
using strand = boost::asio::strand<boost::asio::any_io_executor>;

// Everything on the strand given at creation; one read and one write may be under way at a time. It
// has no deadlines of its own: close() ends everything. The caller keeps it alive meanwhile.
class transport {
public:
    virtual ~transport() = default;
    virtual awaitable<bool> connect() = 0;
    virtual awaitable<std::size_t> read_some(std::span<char> out) = 0; // 0: the stream has ended
    virtual awaitable<bool> write(std::string_view bytes) = 0;         // all, or false
    virtual void close() = 0;
};

[[nodiscard]] std::shared_ptr<transport> make_plain_transport(strand executor, endpoint to);
[[nodiscard]] std::shared_ptr<transport> make_tls_transport(strand executor, endpoint to);

} // namespace immortal::redis
