#include "app/http_client.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace immortal::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr std::uint64_t answer_bytes_max = 16 << 20;

http::request<http::string_body> message_of(const http_call& call, const http_address& server) {
    http::request<http::string_body> message{http::string_to_verb(call.verb), call.target, 11};
    message.set(http::field::host, server.host + ":" + server.port);
    if (!call.token.empty())
        message.set(http::field::authorization, "Bearer " + call.token);
    if (!call.idempotency_key.empty())
        message.set("Idempotency-Key", call.idempotency_key);
    if (!call.body.empty()) {
        message.set(http::field::content_type, "application/json");
        message.body() = call.body;
    }
    message.prepare_payload();
    return message;
}

http_answer answer_of(http::response<http::string_body>&& message) {
    http_answer out{.status = message.result_int(), .body = std::move(message.body())};
    const auto wait = message[http::field::retry_after];
    std::from_chars(wait.data(), wait.data() + wait.size(), out.retry_after_s);
    return out;
}

} // namespace

base::result<http_address> parse_http_url(const std::string& url) {
    constexpr std::string_view scheme = "http://";
    std::string_view rest(url);
    if (!rest.starts_with(scheme))
        return base::fail(base::errc::invalid_argument, "the URL must begin with http://");
    rest.remove_prefix(scheme.size());
    if (rest.ends_with('/'))
        rest.remove_suffix(1);
    const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
    const std::size_t colon = bracket == std::string_view::npos ? bracket : rest.find(':', bracket);
    std::string_view host = rest.substr(0, colon);
    const std::string_view port = colon == std::string_view::npos ? "80" : rest.substr(colon + 1);
    if (bracket != 0 && host.size() >= 2)
        host = host.substr(1, host.size() - 2);
    std::uint16_t number = 0;
    const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (host.empty() || host.find_first_of("/?#@ ") != std::string_view::npos ||
        code != std::errc{} || end != port.data() + port.size() || number == 0)
        return base::fail(base::errc::invalid_argument,
                          "the URL must be http://HOST:PORT and nothing more");
    return http_address{std::string(host), std::string(port)};
}

struct http_client::state {
    http_address server;
    std::chrono::milliseconds timeout;
    std::string source;
    std::optional<beast::tcp_stream> stream;
    beast::flat_buffer buffer;
    bool used = false; // the connection has carried an answer, so the server may close it at will

    awaitable<void> connect() {
        const auto executor = co_await asio::this_coro::executor;
        tcp::resolver resolver(executor);
        const auto found =
            co_await resolver.async_resolve(server.host, server.port, asio::use_awaitable);
        stream.emplace(executor);
        buffer.clear();
        used = false;
        stream->expires_after(timeout);
        if (source.empty()) {
            co_await stream->async_connect(found, asio::use_awaitable);
        } else {
            const tcp::endpoint from(asio::ip::make_address(source), 0);
            stream->socket().open(from.protocol());
            stream->socket().bind(from);
            co_await stream->async_connect(found.begin()->endpoint(), asio::use_awaitable);
        }
        stream->socket().set_option(tcp::no_delay(true));
    }

    awaitable<http_answer> exchange(const http::request<http::string_body>& message) {
        if (!stream)
            co_await connect();
        stream->expires_after(timeout);
        co_await http::async_write(*stream, message, asio::use_awaitable);
        http::response_parser<http::string_body> parser;
        parser.body_limit(answer_bytes_max);
        co_await http::async_read(*stream, buffer, parser, asio::use_awaitable);
        used = true;
        const bool keep = parser.get().keep_alive();
        http_answer answer = answer_of(parser.release());
        if (!keep)
            stream.reset();
        co_return answer;
    }
};

http_client::http_client(http_address server, std::chrono::milliseconds timeout, std::string source)
    : state_(std::make_unique<state>()) {
    state_->server = std::move(server);
    state_->timeout = timeout;
    state_->source = std::move(source);
}

http_client::~http_client() = default;
http_client::http_client(http_client&&) noexcept = default;
http_client& http_client::operator=(http_client&&) noexcept = default;

awaitable<base::result<http_answer>> http_client::send(http_call call) {
    const auto message = message_of(call, state_->server);
    const bool repeatable = call.body.empty() || !call.idempotency_key.empty();
    std::string problem;
    for (int attempt = 0; attempt < 2; ++attempt) {
        const bool was_used = state_->stream && state_->used;
        try {
            co_return co_await state_->exchange(message);
        } catch (const boost::system::system_error& broken) {
            problem = broken.code().message();
        }
        state_->stream.reset();
        if (!was_used || !repeatable)
            break;
    }
    co_return base::fail(base::errc::unavailable,
                         fmt::format("no answer from http://{}:{}: {}", state_->server.host,
                                     state_->server.port, problem));
}

} // namespace immortal::app
