// The `authorization` header of a call (RFC 7617).
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace immortal::esdb {

struct credentials {
    std::string login;
    std::string password;
};

// "Basic <base64 of login:password>"; the scheme in any case. Errors: unauthenticated, with what
// was expected.
[[nodiscard]] base::result<credentials> parse_basic_credentials(std::string_view header);

} // namespace immortal::esdb
