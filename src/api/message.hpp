// A request and a response as plain values: what handlers see of HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace immortal::api {

enum class method : std::uint8_t { get, head, post, put, patch, delete_, options, other };

constexpr std::size_t method_count = 8;

[[nodiscard]] std::string_view name_of(method verb) noexcept;

// The caller's address: the peer's, or the one a trusted proxy names.
struct source_address {
    std::string text;      // canonical text of an IPv4 or IPv6 address
    std::string group;     // what limits count by: the IPv4 address, the /64 network of an IPv6 one
    bool loopback = false; // 127.0.0.0/8 or ::1
};

// One request whose framing was sound. Strings are reused by the connection for its next request:
// a handler may read them until it has answered.
struct request {
    method verb = method::get;
    std::string target; // as sent: path and query, percent-encoded
    std::string authorization;
    std::string content_type;
    std::string content_encoding; // the codings of all such fields, separated by commas
    std::string idempotency_key;
    std::string if_none_match;
    std::string request_id; // the client's, if acceptable, otherwise made here; never empty
    std::string body;
    bool has_idempotency_key = false; // the header is present, perhaps empty
    source_address source;

    [[nodiscard]] std::string_view path() const noexcept;  // without the query
    [[nodiscard]] std::string_view query() const noexcept; // after the '?', or empty
    void clear();                                          // keeps `source`
};

struct response {
    unsigned status = 200;
    std::string_view content_type = "application/json"; // static text; unused without a body
    std::string headers;                                // complete lines, each ending with CRLF
    std::string body;
    bool close = false; // end the connection after this answer

    // Adds a line. `name` is a literal; bytes of `value` outside visible ASCII and space are
    // dropped, so no value can begin another line.
    void add_header(std::string_view name, std::string_view value);
};

[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

} // namespace immortal::api
