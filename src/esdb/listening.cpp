#include "esdb/listening.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "esdb/server.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <expected>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr int port_attempts = 5; // to find a port that is free on every address

using address_list = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

address_list parse(const std::string& address, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
        found = nullptr;
    }
    return {found, &freeaddrinfo};
}

std::uint16_t port_of(const descriptor& socket) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    const int outcome = getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    IMMORTAL_ASSERT(outcome == 0);
    return ntohs(bound.ss_family == AF_INET6
                     ? reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port
                     : reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
}

// "::" means IPv4 too.
bool is_wildcard(const addrinfo& where) {
    return where.ai_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(
               &reinterpret_cast<const sockaddr_in6*>(where.ai_addr)->sin6_addr) != 0;
}

// Or errno. What is set here, the connections inherit.
std::expected<descriptor, int> try_listening(const addrinfo& where, unsigned silence_ms) {
    descriptor made(socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (made.get() < 0) {
        return std::unexpected(errno);
    }
    const int on = 1;
    (void)setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(made.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
    if (where.ai_family == AF_INET6) {
        const int only_v6 = is_wildcard(where) ? 0 : 1;
        (void)setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    }
    if (bind(made.get(), where.ai_addr, where.ai_addrlen) != 0 ||
        listen(made.get(), SOMAXCONN) != 0) {
        return std::unexpected(errno);
    }
    return made;
}

bool is_missing_family(int error) {
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

std::string endpoint_text(const std::string& address, std::uint16_t port) {
    return address.find(':') != std::string::npos ? fmt::format("[{}]:{}", address, port)
                                                  : fmt::format("{}:{}", address, port);
}

base::error refusal_of(const std::string& address, std::uint16_t port, int error) {
    if (error == EADDRINUSE) {
        return {base::errc::unavailable,
                fmt::format("The port {} on {} is taken by another program; choose another one "
                            "with --esdb-port.",
                            port, address)};
    }
    return {base::errc::unavailable,
            fmt::format("The event store's address {} cannot be used: {}.",
                        endpoint_text(address, port),
                        std::error_code(error, std::generic_category()).message())};
}

base::result<listeners> open_once(const std::vector<std::string>& addresses, std::uint16_t port,
                                  unsigned silence_ms) {
    listeners out{{}, port};
    std::optional<base::error> left_out;
    for (const std::string& address : addresses) {
        const auto where = parse(address, out.port);
        if (where == nullptr) {
            return base::fail(base::errc::invalid_argument,
                              "The event store's address must be numeric, such as 127.0.0.1, and "
                              "not '" +
                                  address + "'.");
        }
        auto made = try_listening(*where, silence_ms);
        if (made) {
            out.port = port_of(*made);
            out.sockets.push_back(std::move(*made));
        } else if (is_missing_family(made.error()) && addresses.size() > 1) {
            left_out = refusal_of(address, out.port, made.error());
            base::log_warning("esdb", "an address is left out", {{"what", left_out->message}});
        } else {
            return base::fail(refusal_of(address, out.port, made.error()));
        }
    }
    if (out.sockets.empty()) {
        return base::fail(left_out.value_or(
            base::error{base::errc::invalid_argument, "The event store needs an address."}));
    }
    return out;
}

} // namespace

descriptor::~descriptor() {
    if (value_ >= 0) {
        close(value_);
    }
}

descriptor::descriptor(descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}

descriptor& descriptor::operator=(descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
}

bool is_loopback(const std::string& address) {
    const auto parsed = parse(address, 0);
    if (parsed == nullptr) {
        return false;
    }
    if (parsed->ai_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(parsed->ai_addr);
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
    }
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(parsed->ai_addr);
    return (ntohl(v4->sin_addr.s_addr) >> 24u) == 127;
}

base::result<listeners> open_listeners(const std::vector<std::string>& addresses,
                                       std::uint16_t port, std::chrono::milliseconds silence_max) {
    for (int attempt = 1;; ++attempt) {
        auto opened = open_once(addresses, port, static_cast<unsigned>(silence_max.count()));
        if (opened || port != 0 || opened.error().code != base::errc::unavailable ||
            attempt == port_attempts) {
            return opened;
        } // else it was free on the first address only
    }
}

base::status check_listening(const std::vector<std::string>& addresses, std::uint16_t port) {
    auto opened = open_listeners(addresses, port, std::chrono::milliseconds(0));
    return opened ? base::status{} : base::fail(std::move(opened.error()));
}

} // namespace immortal::esdb
