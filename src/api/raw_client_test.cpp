#include "api/raw_client.hpp"

#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace immortal::api::testing {
namespace {

std::string lower(std::string text) {
    for (char& c : text) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    return text;
}

} // namespace

raw_client::raw_client(std::uint16_t port, const std::string& address) {
    const bool six = address.find(':') != std::string::npos;
    socket_ = ::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    ::inet_pton(six ? AF_INET6 : AF_INET, address.c_str(),
                six ? static_cast<void*>(&v6.sin6_addr) : static_cast<void*>(&v4.sin_addr));
    const auto* to =
        six ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
    if (::connect(socket_, to, six ? sizeof v6 : sizeof v4) != 0) {
        ::close(socket_);
        socket_ = -1;
    }
}

raw_client::~raw_client() {
    if (socket_ >= 0) {
        ::close(socket_);
    }
}

void raw_client::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

void raw_client::end() {
    ::shutdown(socket_, SHUT_WR);
}

bool raw_client::fill() {
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(deadline.count())) <= 0) {
        return false;
    }
    std::array<char, 16'384> bytes{};
    const auto count = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (count <= 0) {
        return false;
    }
    unread_.append(bytes.data(), static_cast<std::size_t>(count));
    return true;
}

std::optional<raw_answer> raw_client::receive(bool bodiless, bool interim) {
    std::size_t blank = unread_.find("\r\n\r\n");
    while (blank == std::string::npos) {
        if (!fill()) {
            return std::nullopt;
        }
        blank = unread_.find("\r\n\r\n");
    }
    raw_answer out;
    out.head = unread_.substr(0, blank + 4);
    unread_.erase(0, blank + 4);
    out.status = static_cast<unsigned>(std::strtoul(out.head.substr(9, 3).c_str(), nullptr, 10));
    for (std::size_t line = out.head.find("\r\n") + 2; line + 2 < out.head.size();) {
        const std::size_t end = out.head.find("\r\n", line);
        const std::size_t colon = out.head.find(": ", line);
        out.headers[lower(out.head.substr(line, colon - line))] =
            out.head.substr(colon + 2, end - colon - 2);
        line = end + 2;
    }
    if (out.status == 100 && !interim) {
        return receive(bodiless, interim);
    }
    const auto length = out.headers.find("content-length");
    if (bodiless || length == out.headers.end()) {
        return out;
    }
    const std::size_t size = std::strtoul(length->second.c_str(), nullptr, 10);
    while (unread_.size() < size) {
        if (!fill()) {
            return std::nullopt;
        }
    }
    out.body = unread_.substr(0, size);
    unread_.erase(0, size);
    return out;
}

bool raw_client::closed() {
    if (!unread_.empty()) {
        return false;
    }
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(deadline.count())) <= 0) {
        return false;
    }
    char byte = 0;
    return ::recv(socket_, &byte, 1, 0) <= 0;
}

raw_answer raw_client::ask(std::string_view bytes, bool bodiless) {
    send(bytes);
    return receive(bodiless).value_or(raw_answer{});
}

std::string request_text(std::string_view verb, std::string_view target, std::string_view body,
                         std::string_view headers) {
    std::string out(verb);
    out.append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n").append(headers);
    if (!body.empty()) {
        out.append("Content-Type: application/json\r\nContent-Length: ");
        out.append(std::to_string(body.size())).append("\r\n");
    }
    return out.append("\r\n").append(body);
}

} // namespace immortal::api::testing
