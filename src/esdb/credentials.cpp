#include "esdb/credentials.hpp"

#include <boost/algorithm/string/predicate.hpp>
#include <sodium.h>

#include <vector>

namespace immortal::esdb {
namespace {

constexpr std::size_t header_size_max = 1024;

std::unexpected<base::error> refused() {
    return base::fail(base::errc::unauthenticated,
                      "the authorization header must be 'Basic' and the base64 of login:password");
}

} // namespace

base::result<credentials> parse_basic_credentials(std::string_view header) {
    constexpr std::string_view scheme = "basic ";
    if (header.size() > header_size_max || header.size() <= scheme.size() ||
        !boost::algorithm::iequals(header.substr(0, scheme.size()), scheme)) {
        return refused();
    }
    const std::string_view encoded = header.substr(scheme.size());
    std::string text(encoded.size(), '\0');
    std::size_t size = 0;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the library's face is C
    auto* bytes = reinterpret_cast<unsigned char*>(text.data());
    if (sodium_base642bin(bytes, text.size(), encoded.data(), encoded.size(), " \r\n", &size,
                          nullptr, sodium_base64_VARIANT_ORIGINAL) != 0) {
        return refused();
    }
    text.resize(size);
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0) {
        return refused();
    }
    return credentials{.login = text.substr(0, colon), .password = text.substr(colon + 1)};
}

} // namespace immortal::esdb
