// A test's end of a connection: raw bytes out, whole answers in. Blocking, each read with a
// deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::api::testing {

struct raw_answer {
    unsigned status = 0;
    std::map<std::string, std::string> headers; // names in lower case
    std::string head;                           // status line and headers as received
    std::string body;
};

class raw_client {
public:
    explicit raw_client(std::uint16_t port, const std::string& address = "127.0.0.1");
    ~raw_client();
    raw_client(raw_client&& other) noexcept : socket_(other.socket_), unread_(other.unread_) {
        other.socket_ = -1;
    }
    raw_client(const raw_client&) = delete;
    raw_client& operator=(const raw_client&) = delete;

    [[nodiscard]] bool connected() const noexcept { return socket_ >= 0; }
    void send(std::string_view bytes); // stops silently when the peer has closed
    void end();                        // no more bytes from here
    // Empty: the connection ended (or the deadline passed) before a whole answer. A 100 is skipped
    // unless `interim`. `bodiless`: the answer to HEAD.
    std::optional<raw_answer> receive(bool bodiless = false, bool interim = false);
    // True when the peer closes, without further bytes, within the deadline.
    bool closed();
    raw_answer ask(std::string_view bytes, bool bodiless = false); // status 0: no answer

    std::chrono::milliseconds deadline{20'000};

private:
    bool fill();

    int socket_ = -1;
    std::string unread_;
};

// A request in text, with Host, and Content-Length when there is a body.
[[nodiscard]] std::string request_text(std::string_view verb, std::string_view target,
                                       std::string_view body = {}, std::string_view headers = {});

} // namespace immortal::api::testing
