// Addresses and ports: what may be listened on, and whether it is free.
#include "esdb/listening.hpp"

#include "base/log.hpp"
#include "esdb/server.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace immortal::esdb {
namespace {

class descriptor {
public:
    explicit descriptor(int value) : value_(value) {}
    ~descriptor() {
        if (value_ >= 0) {
            close(value_);
        }
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    [[nodiscard]] int get() const { return value_; }

private:
    int value_;
};

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

// The port that was bound, or errno.
std::expected<std::uint16_t, int> try_binding(const addrinfo& where) {
    const descriptor fd(socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd.get() < 0) {
        return std::unexpected(errno);
    }
    const int on = 1;
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (where.ai_family == AF_INET6) {
        (void)setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd.get(), where.ai_addr, where.ai_addrlen) != 0 || listen(fd.get(), 1) != 0) {
        return std::unexpected(errno);
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
        return std::unexpected(errno);
    }
    return ntohs(bound.ss_family == AF_INET6
                     ? reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port
                     : reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
}

bool is_missing_family(int error) {
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
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

} // namespace

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

std::string endpoint_text(const std::string& address, std::uint16_t port) {
    return address.find(':') != std::string::npos ? fmt::format("[{}]:{}", address, port)
                                                  : fmt::format("{}:{}", address, port);
}

base::result<listening_plan> plan_listening(const std::vector<std::string>& addresses,
                                            std::uint16_t port) {
    listening_plan plan{{}, port};
    std::optional<base::error> left_out;
    for (const std::string& address : addresses) {
        const auto where = parse(address, plan.port);
        if (where == nullptr) {
            return base::fail(base::errc::invalid_argument,
                              "The event store's address must be numeric, such as 127.0.0.1, and "
                              "not '" +
                                  address + "'.");
        }
        const auto bound = try_binding(*where);
        if (bound) {
            plan.port = *bound;
            plan.addresses.push_back(address);
        } else if (is_missing_family(bound.error()) && addresses.size() > 1) {
            left_out = refusal_of(address, plan.port, bound.error());
            base::log_warning("esdb", "an address is left out", {{"what", left_out->message}});
        } else {
            return base::fail(refusal_of(address, plan.port, bound.error()));
        }
    }
    if (plan.addresses.empty()) {
        return base::fail(left_out.value_or(
            base::error{base::errc::invalid_argument, "The event store needs an address."}));
    }
    return plan;
}

base::status check_listening(const std::vector<std::string>& addresses, std::uint16_t port) {
    auto plan = plan_listening(addresses, port);
    return plan ? base::status{} : base::fail(std::move(plan.error()));
}

} // namespace immortal::esdb
