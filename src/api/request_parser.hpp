// Bytes to a `request`, by Beast's parser with stricter framing: whatever two HTTP programs might
// read differently (request smuggling) is refused.
//
// Refused beyond RFC 9112's own list: Transfer-Encoding other than exactly "chunked", or beside
// Content-Length, or in HTTP/1.0; repeated or listed Content-Length; repeated Host, Authorization,
// Content-Type, Idempotency-Key, Expect; a missing Host in HTTP/1.1; folded header lines; trailer
// fields; chunk extensions; fragments and bytes outside visible ASCII in the target.
#pragma once

#include "api/message.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace immortal::api {

struct parser_limits {
    std::size_t header_size_max = 16 * 1024;
    std::size_t header_fields_max = 64;
    std::size_t body_size_max = 64 * 1024;
};

// Why a request was refused; the connection cannot be used further.
struct framing_error {
    unsigned status = 400;
    std::string_view code;
    std::string_view detail;
};

// Not thread-safe. reset() before each request.
class request_parser {
public:
    enum class progress { need_more, done, failed };

    explicit request_parser(parser_limits limits);
    ~request_parser();

    void reset();
    // Takes from the front of `bytes` (the unconsumed rest of the last call must stand in front of
    // them); `consumed` says how many bytes are done with. After done or failed: reset().
    progress put(std::string_view bytes, std::size_t& consumed);

    [[nodiscard]] bool header_done() const noexcept;
    [[nodiscard]] bool keep_alive() const noexcept;
    // "Expect: 100-continue" was sent and the body has not begun to arrive.
    [[nodiscard]] bool wants_continue() const noexcept;
    [[nodiscard]] const framing_error& error() const noexcept;
    [[nodiscard]] std::string_view forwarded_for() const noexcept; // last entry, unchecked
    [[nodiscard]] request& message() noexcept;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace immortal::api
