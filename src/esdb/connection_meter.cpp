#include "esdb/connection_meter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace immortal::esdb {
namespace {

constexpr std::size_t sweep_interval = 256; // connections
constexpr std::chrono::milliseconds moment{100};
constexpr std::chrono::seconds self_explained_max{60}; // at once: nobody saves it up

// The system's answer as it is since Linux 4.1; the library's type ends sooner.
struct long_tcp_info {
    tcp_info known;
    std::uint64_t pacing_rate;
    std::uint64_t pacing_rate_max;
    std::uint64_t bytes_acknowledged;
    std::uint64_t bytes_received;
};
static_assert(offsetof(long_tcp_info, bytes_received) == 128);

std::optional<std::uint64_t> cookie_of(int socket) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) {
        return std::nullopt;
    }
    return cookie;
}

// Empty: not one that gRPC would name so.
std::string peer_of(int socket) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the interface is C
    if (getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
        return {};
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (peer.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &peer, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
        return fmt::format("ipv4:{}:{}", text.data(), ntohs(v4.sin_port));
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, &peer, sizeof v6);
    const auto& bytes = v6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        return fmt::format("ipv4:{}.{}.{}.{}:{}", bytes[12], bytes[13], bytes[14], bytes[15],
                           ntohs(v6.sin6_port));
    }
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return fmt::format("ipv6:%5B{}%5D:{}", text.data(), ntohs(v6.sin6_port));
}

} // namespace

void metered_connection::explain(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    explained_ += bytes;
}

void metered_connection::explain_message(std::size_t bytes) {
    explain(bytes + bytes / 64 + 128);
    const std::lock_guard lock(mutex_);
    reads_.delivered += bytes;
}

std::optional<std::uint64_t> metered_connection::unexplained(steady_time now) {
    const std::lock_guard lock(mutex_);
    return look(now);
}

std::optional<std::uint64_t> metered_connection::lately_unexplained() {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    return now - looked_ < moment ? std::optional(seen_) : look(now);
}

std::optional<std::uint64_t> metered_connection::look(steady_time now) {
    long_tcp_info told{};
    socklen_t size = sizeof told;
    if (getsockopt(socket_, IPPROTO_TCP, TCP_INFO, &told, &size) != 0 || size < sizeof told) {
        return std::nullopt;
    }
    if (cookie_of(socket_) != cookie_) { // afterwards: the number was ours until now, or is not
        return std::nullopt;
    }
    using per_byte = std::chrono::duration<std::int64_t, std::ratio<1, self_explained_rate>>;
    self_explained_ = std::max(self_explained_, now - self_explained_max);
    if (now > self_explained_) {
        const auto bytes = std::chrono::duration_cast<per_byte>(now - self_explained_);
        self_explained_ += bytes;
        explained_ += static_cast<std::uint64_t>(bytes.count());
    }
    const std::uint64_t received = told.bytes_received;
    explained_ = std::min(explained_, received);
    looked_ = now;
    seen_ = received - explained_;
    return seen_;
}

bool metered_connection::is_open() const {
    return cookie_of(socket_) == cookie_;
}

void metered_connection::change_reads(std::ptrdiff_t measured, std::ptrdiff_t gated) {
    const std::lock_guard lock(mutex_);
    reads_.measured += static_cast<std::size_t>(measured);
    reads_.gated += static_cast<std::size_t>(gated);
}

metered_connection::reads metered_connection::reads_under_way() const {
    const std::lock_guard lock(mutex_);
    return reads_;
}

void connection_meter::add(int socket) {
    const auto cookie = cookie_of(socket);
    std::string peer = peer_of(socket);
    if (!cookie || peer.empty()) {
        return;
    }
    auto made = std::make_shared<metered_connection>(socket, *cookie);
    const std::lock_guard lock(mutex_);
    if (++added_ % sweep_interval == 0) {
        std::erase_if(connections_, [](const auto& one) { return !one.second->is_open(); });
    }
    connections_.insert_or_assign(std::move(peer), std::move(made));
}

std::shared_ptr<metered_connection> connection_meter::find(const std::string& peer) const {
    const std::lock_guard lock(mutex_);
    const auto found = connections_.find(peer);
    return found == connections_.end() ? nullptr : found->second;
}

} // namespace immortal::esdb
