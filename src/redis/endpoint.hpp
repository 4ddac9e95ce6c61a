// Where a Redis server is and how to log in, from its URI.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace immortal::redis {

struct endpoint {
    enum class kind : std::uint8_t { tcp, tls, unix_socket };
    kind what = kind::tcp;
    std::string host; // a path for unix_socket
    std::string port; // empty for unix_socket
    std::string user;
    std::string password;
    std::uint32_t database = 0;
};

// redis://[[user]:password@]host[:port][/db], rediss://..., unix:///path/to.sock[?db=n]. Errors:
// invalid_argument, without the URI's text, which may hold a password.
[[nodiscard]] base::result<endpoint> parse_endpoint(std::string_view uri);

} // namespace immortal::redis
