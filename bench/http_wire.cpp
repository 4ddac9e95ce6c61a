#include "bench/http_wire.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace immortal::bench {

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<wire> wire::connect(std::uint16_t port) {
    tcp::socket socket(co_await asio::this_coro::executor);
    co_await socket.async_connect({asio::ip::address_v4::loopback(), port}, asio::use_awaitable);
    socket.set_option(tcp::no_delay(true));
    co_return wire(std::move(socket));
}

namespace {

std::size_t content_length(std::string_view head) {
    constexpr std::string_view name = "content-length:";
    const auto lower = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
    const auto at = std::ranges::search(head, name, lower);
    if (at.empty()) {
        return 0;
    }
    std::string_view rest(at.end(), head.end());
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    std::size_t value = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), value);
    return value;
}

} // namespace

asio::awaitable<wire_answer> wire::exchange(const std::string& request) {
    co_await asio::async_write(socket_, asio::buffer(request), asio::use_awaitable);
    std::size_t filled = 0;
    std::size_t head = std::string::npos;
    std::size_t whole = 0;
    while (head == std::string::npos || filled < whole) {
        if (buffer_.size() < filled + 4096) {
            buffer_.resize(filled + 16'384);
        }
        filled += co_await socket_.async_read_some(
            asio::buffer(buffer_.data() + filled, buffer_.size() - filled), asio::use_awaitable);
        if (head == std::string::npos) {
            const std::string_view so_far(buffer_.data(), filled);
            head = so_far.find("\r\n\r\n");
            if (head != std::string::npos) {
                whole = head + 4 + content_length(so_far.substr(0, head));
            }
        }
    }
    wire_answer out;
    std::from_chars(buffer_.data() + 9, buffer_.data() + 12, out.status);
    out.body = std::string_view(buffer_.data() + head + 4, whole - head - 4);
    co_return out;
}

std::string request_text(std::string_view verb, std::string_view target, std::string_view token,
                         std::string_view body, std::string_view idempotency_key) {
    std::string out = fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n", verb, target);
    if (!token.empty()) {
        out += fmt::format("Authorization: Bearer {}\r\n", token);
    }
    if (!idempotency_key.empty()) {
        out += fmt::format("Idempotency-Key: {}\r\n", idempotency_key);
    }
    if (!body.empty()) {
        out += "Content-Type: application/json\r\n";
    }
    if (!body.empty() || verb == "POST") {
        out += fmt::format("Content-Length: {}\r\n", body.size());
    }
    return out.append("\r\n").append(body);
}

std::string member_text(std::string_view body, std::string_view name) {
    const std::string wanted = fmt::format("\"{}\":", name);
    std::size_t at = body.find(wanted);
    if (at == std::string_view::npos) {
        return {};
    }
    at += wanted.size();
    const bool quoted = at < body.size() && body[at] == '"';
    at += quoted ? 1 : 0;
    const std::size_t end = body.find_first_of(quoted ? "\"" : ",}] ", at);
    return std::string(body.substr(at, end - at));
}

} // namespace immortal::bench
