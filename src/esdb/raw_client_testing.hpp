// A client that speaks HTTP/2 by hand, for what no proper client does: messages that never come as
// a whole, answers that nobody takes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <map>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace immortal::esdb {

class raw_client {
public:
    using headers = std::vector<std::pair<std::string, std::string>>;

    // Connects to the loopback port. `window`: bytes of each answer that the client takes;
    // `source`: its own loopback address.
    explicit raw_client(std::uint16_t port, std::uint32_t window = 65'535,
                        const char* source = "127.0.0.1")
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        EXPECT_EQ(inet_pton(AF_INET, source, &address.sin_addr), 1);
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the interface is C
        const auto* where = reinterpret_cast<const sockaddr*>(&address);
        EXPECT_EQ(::bind(fd_, where, sizeof address), 0);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        EXPECT_EQ(::connect(fd_, where, sizeof address), 0);
        out_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        std::string settings("\0\x04", 2); // INITIAL_WINDOW_SIZE
        put(settings, window, 4);
        frame(4, 0, 0, settings);
    }
    ~raw_client() { ::close(fd_); }
    raw_client(const raw_client&) = delete;
    raw_client& operator=(const raw_client&) = delete;

    // Begins a call and announces one message of `message_bytes`; all of it is sent, as far as the
    // server takes it, but for its last byte. Zero: nothing is announced. `first`: a message that
    // comes first, as a whole.
    void begin(const std::string& path, std::size_t message_bytes, const headers& more = {},
               const std::optional<std::string>& first = std::nullopt) {
        std::string block;
        for (const auto& [name, value] : headers{{":method", "POST"},
                                                 {":scheme", "http"},
                                                 {":path", path},
                                                 {":authority", "localhost"},
                                                 {"te", "trailers"},
                                                 {"content-type", "application/grpc"}}) {
            field(block, name, value);
        }
        for (const auto& [name, value] : more) {
            field(block, name, value);
        }
        frame(1, 4, next_, block); // HEADERS, END_HEADERS
        call one{.window = initial_window_};
        if (message_bytes > 0) {
            if (first) {
                one.start = std::string(1, '\0');
                put(one.start, first->size(), 4);
                one.start += *first;
            }
            one.start += '\0';
            put(one.start, message_bytes, 4);
            one.left = one.start.size() + message_bytes - 1;
        }
        calls_.emplace(std::exchange(next_, next_ + 2), std::move(one));
    }

    // Sends and receives until the server has ended every call. False: it took too long.
    [[nodiscard]] bool run(std::chrono::seconds patience) {
        const auto until = std::chrono::steady_clock::now() + patience;
        while (!calls_.empty()) {
            if (std::chrono::steady_clock::now() > until || !turn()) {
                return false;
            }
        }
        return true;
    }
    // One turn of that; false: the connection is lost.
    bool turn() {
        fill();
        pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
        if (!out_.empty()) {
            ready.events |= POLLOUT;
        }
        (void)::poll(&ready, 1, 20);
        if ((ready.revents & POLLOUT) != 0) {
            const auto sent = ::send(fd_, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            out_.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
        }
        if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            char bytes[64 * 1024];
            const auto got = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN)) {
                return false;
            }
            in_.append(bytes, got > 0 ? static_cast<std::size_t>(got) : 0);
        }
        while (take_frame()) {
        }
        return true;
    }
    [[nodiscard]] std::size_t open_calls() const { return calls_.size(); }
    [[nodiscard]] std::size_t received() const { return received_; } // bytes of answers

private:
    struct call {
        std::int64_t window = 0;
        std::string start = {}; // of the message, before its zeros
        std::size_t left = 0;   // to send
    };
    static constexpr std::size_t frame_max = 16'384;

    static void put(std::string& out, std::uint64_t value, int bytes) {
        for (int i = bytes - 1; i >= 0; --i) {
            out += static_cast<char>(value >> (8 * i));
        }
    }
    static std::uint32_t number(std::string_view bytes) {
        std::uint32_t value = 0;
        for (const char c : bytes) {
            value = value << 8u | static_cast<unsigned char>(c);
        }
        return value;
    }
    static void text(std::string& out, const std::string& value) { // RFC 7541, 5.2, not compressed
        std::size_t size = value.size();
        if (size < 127) {
            out += static_cast<char>(size);
        } else {
            out += static_cast<char>(127);
            for (size -= 127; size >= 128; size /= 128) {
                out += static_cast<char>(size % 128 + 128);
            }
            out += static_cast<char>(size);
        }
        out += value;
    }
    static void field(std::string& out, const std::string& name, const std::string& value) {
        out += '\0';
        text(out, name);
        text(out, value);
    }
    void frame(int type, int flags, std::uint32_t stream, const std::string& payload) {
        put(out_, payload.size(), 3);
        put(out_, static_cast<std::uint64_t>(type), 1);
        put(out_, static_cast<std::uint64_t>(flags), 1);
        put(out_, stream, 4);
        out_ += payload;
    }
    // Data of every call, as far as the windows allow.
    void fill() {
        for (auto& [stream, one] : calls_) {
            while (one.left > 0 && one.window > 0 && window_ > 0 && out_.size() < 1u << 20) {
                const auto room = static_cast<std::size_t>(std::min(one.window, window_));
                const std::size_t size = std::min({frame_max, room, one.left});
                std::string payload = std::exchange(one.start, {});
                payload.resize(size);
                frame(0, 0, stream, payload);
                one.left -= size;
                one.window -= static_cast<std::int64_t>(size);
                window_ -= static_cast<std::int64_t>(size);
            }
        }
    }
    bool take_frame() {
        if (in_.size() < 9) {
            return false;
        }
        const std::size_t size = number(std::string_view(in_).substr(0, 3));
        if (in_.size() < 9 + size) {
            return false;
        }
        const int type = in_[3];
        const int flags = in_[4];
        const std::uint32_t stream = number(std::string_view(in_).substr(5, 4));
        const std::string payload = in_.substr(9, size);
        in_.erase(0, 9 + size);
        if (type == 0) {
            received_ += size;
        } else if (type == 4 && (flags & 1) == 0) {
            take_settings(payload);
        } else if (type == 6 && (flags & 1) == 0) {
            frame(6, 1, 0, payload); // PING
        } else if (type == 8) {
            std::int64_t* const grown = stream == 0            ? &window_
                                        : calls_.count(stream) ? &calls_[stream].window
                                                               : nullptr;
            if (grown != nullptr) {
                *grown += number(payload);
            }
        }
        if (type == 3 || (type <= 1 && (flags & 1) != 0)) { // RST_STREAM, END_STREAM
            calls_.erase(stream);
        }
        return true;
    }
    void take_settings(const std::string& payload) {
        for (std::size_t i = 0; i + 6 <= payload.size(); i += 6) {
            const std::uint32_t value = number(std::string_view(payload).substr(i + 2, 4));
            if (payload[i + 1] == 4) {
                for (auto& [stream, one] : calls_) {
                    one.window += static_cast<std::int64_t>(value) - initial_window_;
                }
                initial_window_ = value;
            }
        }
        frame(4, 1, 0, "");
    }

    int fd_;
    std::string out_;
    std::string in_;
    std::uint32_t next_ = 1;
    std::int64_t initial_window_ = 65'535;
    std::int64_t window_ = 65'535;        // of the connection
    std::map<std::uint32_t, call> calls_; // that the server has not ended
    std::size_t received_ = 0;
};

} // namespace immortal::esdb
