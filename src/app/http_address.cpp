#include "app/http_address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace immortal::app {

namespace {

using address_list = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

address_list resolve_numeric(const std::string& address, const std::string& port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(address.c_str(), port.c_str(), &hints, &found) != 0) {
        found = nullptr;
    }
    return {found, &freeaddrinfo};
}

// The system's reason why nothing can listen there; 0: nothing speaks against it.
int refusal_of(const addrinfo& where) {
    const int fd = socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (where.ai_family == AF_INET6) { // as the listener: somebody else may have IPv4's port
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    const int reason = bind(fd, where.ai_addr, where.ai_addrlen) == 0 ? 0 : errno;
    close(fd);
    return reason;
}

base::status cannot_listen(const std::string& address, const std::string& port, int reason) {
    return base::fail(base::errc::unavailable,
                      reason == EADDRINUSE
                          ? "The port " + port + " on " + address +
                                " is taken by another program; choose one with --http-port."
                          : "The address " + address + ":" + port + " cannot be used: " +
                                std::error_code(reason, std::generic_category()).message() + ".");
}

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

} // namespace

std::vector<std::string> numeric_addresses(const std::string& address) {
    return address == "localhost" ? std::vector<std::string>{"127.0.0.1", "::1"}
                                  : std::vector<std::string>{address};
}

base::result<std::vector<std::string>> trusted_proxies(const http_settings& options) {
    std::vector<std::string> out;
    std::string_view rest = options.trusted_proxies;
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        const std::string one(trimmed(rest.substr(0, comma)));
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        std::array<unsigned char, sizeof(in6_addr)> bytes{};
        std::array<char, INET6_ADDRSTRLEN> text{};
        const int family = one.find(':') == std::string::npos ? AF_INET : AF_INET6;
        if (inet_pton(family, one.c_str(), bytes.data()) != 1) {
            return base::fail(base::errc::invalid_argument,
                              "http.trusted_proxies must be numeric addresses, separated by "
                              "commas, and '" +
                                  one + "' is none.");
        }
        out.emplace_back(inet_ntop(family, bytes.data(), text.data(), text.size()));
    }
    return out;
}

base::status check_address(const std::string& key, const std::string& address) {
    for (const std::string& one : numeric_addresses(address)) {
        if (!resolve_numeric(one, "0")) {
            return base::fail(base::errc::invalid_argument,
                              key +
                                  " must be a numeric address, such as 127.0.0.1, or localhost, "
                                  "and not '" +
                                  one + "'.");
        }
    }
    return {};
}

bool is_any_address(const std::string& address) {
    return is_same_address(address, "0.0.0.0") || is_same_address(address, "::");
}

bool is_ipv6_address(const std::string& address) {
    const auto parsed = resolve_numeric(address, "0");
    return parsed && parsed->ai_family == AF_INET6;
}

bool is_same_address(const std::string& one, const std::string& other) {
    const auto first = resolve_numeric(one, "0");
    const auto second = resolve_numeric(other, "0");
    return first && second && first->ai_addrlen == second->ai_addrlen &&
           std::memcmp(first->ai_addr, second->ai_addr, first->ai_addrlen) == 0;
}

base::status check_http(const http_settings& options) {
    const std::string port = std::to_string(options.port);
    base::status missing;
    bool some = false;
    for (const std::string& address : numeric_addresses(options.address)) {
        const auto found = resolve_numeric(address, port);
        if (!found) {
            return check_address("http.address", address);
        }
        const int reason = options.port == 0 ? 0 : refusal_of(*found);
        if (reason == EAFNOSUPPORT || reason == EADDRNOTAVAIL) {
            missing = cannot_listen(address, port, reason);
        } else if (reason != 0 && reason != EMFILE && reason != ENFILE) {
            return cannot_listen(address, port, reason);
        } else {
            some = true;
        }
    }
    return some ? base::status() : missing;
}

std::string http_url(const http_settings& options, std::uint16_t port) {
    std::string host = options.address;
    if (host == "0.0.0.0" || host == "localhost") {
        host = "127.0.0.1";
    } else if (host == "::") {
        host = "::1";
    }
    return host.find(':') != std::string::npos ? fmt::format("http://[{}]:{}", host, port)
                                               : fmt::format("http://{}:{}", host, port);
}

} // namespace immortal::app
