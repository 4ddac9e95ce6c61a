#include "bench/empty_server.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace immortal::bench {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

asio::awaitable<void> serve(tcp::socket socket) {
    socket.set_option(tcp::no_delay(true));
    boost::beast::tcp_stream stream(std::move(socket));
    boost::beast::flat_buffer buffer;
    try {
        for (;;) {
            http::request<http::string_body> asked;
            co_await http::async_read(stream, buffer, asked, asio::use_awaitable);
            http::response<http::string_body> answer{http::status::ok, asked.version()};
            answer.set(http::field::content_type, "application/json");
            answer.body() = "{}";
            answer.prepare_payload();
            co_await http::async_write(stream, answer, asio::use_awaitable);
        }
    } catch (const boost::system::system_error&) {
        co_return; // the client has gone
    }
}

asio::awaitable<void> accept(tcp::acceptor* acceptor) {
    try {
        for (;;) {
            const auto strand = asio::make_strand(co_await asio::this_coro::executor);
            tcp::socket socket = co_await acceptor->async_accept(strand, asio::use_awaitable);
            asio::co_spawn(strand, serve(std::move(socket)), asio::detached);
        }
    } catch (const boost::system::system_error&) {
        co_return; // closed
    }
}

} // namespace

struct empty_server::state {
    explicit state(std::size_t threads)
        : engine({.threads = threads, .drain = std::chrono::milliseconds(500)}),
          acceptor(engine.executor(), {asio::ip::address_v4::loopback(), 0}) {}
    runtime::engine engine;
    tcp::acceptor acceptor;
};

empty_server::empty_server(std::size_t threads) : state_(std::make_unique<state>(threads)) {
    asio::co_spawn(state_->engine.executor(), accept(&state_->acceptor), asio::detached);
    state_->engine.start();
}

empty_server::~empty_server() {
    boost::system::error_code ignored;
    state_->acceptor.close(ignored);
    state_->engine.stop();
}

std::uint16_t empty_server::port() const {
    return state_->acceptor.local_endpoint().port();
}

} // namespace immortal::bench
