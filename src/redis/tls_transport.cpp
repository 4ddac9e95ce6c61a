#include "redis/transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace immortal::redis {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace {

ssl::context make_context() {
    ssl::context out(ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(out.native_handle(), TLS1_2_VERSION);
    boost::system::error_code ignored; // without authorities no certificate is accepted
    out.set_default_verify_paths(ignored);
    out.set_verify_mode(ssl::verify_peer);
    return out;
}

class tls_transport final : public transport {
public:
    tls_transport(strand executor, endpoint to)
        : to_(std::move(to)), context_(make_context()), resolver_(executor),
          stream_(executor, context_) {}

    awaitable<bool> connect() override {
        boost::system::error_code code;
        const auto found = co_await resolver_.async_resolve(
            to_.host, to_.port, asio::redirect_error(asio::use_awaitable, code));
        if (code || closed_) {
            co_return false;
        }
        co_await asio::async_connect(stream_.lowest_layer(), found,
                                     asio::redirect_error(asio::use_awaitable, code));
        if (code || closed_) {
            co_return false;
        }
        stream_.lowest_layer().set_option(asio::ip::tcp::no_delay(true), code);
        stream_.set_verify_callback(ssl::host_name_verification(to_.host), code);
        if (code || SSL_set_tlsext_host_name(stream_.native_handle(), to_.host.c_str()) != 1) {
            co_return false;
        }
        co_await stream_.async_handshake(ssl::stream_base::client,
                                         asio::redirect_error(asio::use_awaitable, code));
        co_return !code && !closed_;
    }
    awaitable<std::size_t> read_some(std::span<char> out) override {
        boost::system::error_code code;
        const std::size_t count = co_await stream_.async_read_some(
            asio::buffer(out.data(), out.size()), asio::redirect_error(asio::use_awaitable, code));
        co_return code ? 0 : count;
    }
    awaitable<bool> write(std::string_view bytes) override {
        boost::system::error_code code;
        co_await asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()),
                                   asio::redirect_error(asio::use_awaitable, code));
        co_return !code;
    }
    void close() override {
        closed_ = true;
        resolver_.cancel();
        boost::system::error_code ignored;
        stream_.lowest_layer().close(ignored);
    }

private:
    const endpoint to_;
    ssl::context context_;
    asio::ip::tcp::resolver resolver_;
    ssl::stream<asio::ip::tcp::socket> stream_;
    bool closed_ = false;
};

} // namespace

std::shared_ptr<transport> make_tls_transport(strand executor, endpoint to) {
    return std::make_shared<tls_transport>(std::move(executor), std::move(to));
}

} // namespace immortal::redis
