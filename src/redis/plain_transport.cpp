#include "redis/transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace immortal::redis {

namespace asio = boost::asio;

namespace {

template <typename Socket>
class socket_transport : public transport {
public:
    socket_transport(strand executor, endpoint to) : to_(std::move(to)), socket_(executor) {}

    awaitable<std::size_t> read_some(std::span<char> out) override {
        boost::system::error_code code;
        const std::size_t count = co_await socket_.async_read_some(
            asio::buffer(out.data(), out.size()), asio::redirect_error(asio::use_awaitable, code));
        co_return code ? 0 : count;
    }
    awaitable<bool> write(std::string_view bytes) override {
        boost::system::error_code code;
        co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()),
                                   asio::redirect_error(asio::use_awaitable, code));
        co_return !code;
    }
    void close() override {
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

protected:
    const endpoint to_;
    Socket socket_;
};

class unix_transport final : public socket_transport<asio::local::stream_protocol::socket> {
public:
    using socket_transport::socket_transport;

    awaitable<bool> connect() override {
        boost::system::error_code code;
        if (to_.host.size() >= 108) { // sockaddr_un's limit; Asio would throw
            co_return false;
        }
        co_await socket_.async_connect(asio::local::stream_protocol::endpoint(to_.host),
                                       asio::redirect_error(asio::use_awaitable, code));
        co_return !code;
    }
};

class tcp_transport final : public socket_transport<asio::ip::tcp::socket> {
public:
    tcp_transport(strand executor, endpoint to)
        : socket_transport(executor, std::move(to)), resolver_(executor) {}

    awaitable<bool> connect() override {
        boost::system::error_code code;
        const auto found = co_await resolver_.async_resolve(
            to_.host, to_.port, asio::redirect_error(asio::use_awaitable, code));
        if (code || closed_) {
            co_return false;
        }
        co_await asio::async_connect(socket_, found,
                                     asio::redirect_error(asio::use_awaitable, code));
        if (!code) {
            socket_.set_option(asio::ip::tcp::no_delay(true), code);
        }
        co_return !code && !closed_;
    }
    void close() override {
        closed_ = true;
        resolver_.cancel();
        socket_transport::close();
    }

private:
    asio::ip::tcp::resolver resolver_;
    bool closed_ = false;
};

} // namespace

std::shared_ptr<transport> make_plain_transport(strand executor, endpoint to) {
    if (to.what == endpoint::kind::unix_socket) {
        return std::make_shared<unix_transport>(std::move(executor), std::move(to));
    }
    return std::make_shared<tcp_transport>(std::move(executor), std::move(to));
}

} // namespace immortal::redis
