#include "redis/endpoint.hpp"

#include <boost/url.hpp>

#include <charconv>
#include <optional>

namespace immortal::redis {

using base::errc;
using base::fail;

namespace {

std::optional<std::uint32_t> parse_number(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                   : std::nullopt;
}

std::unexpected<base::error> refuse(const char* what) {
    return fail(errc::invalid_argument,
                std::string("the Redis URI ") + what +
                    "; write redis://[user:password@]host[:port][/db], rediss://... or "
                    "unix:///path/to.sock[?db=n]",
                {}, "redis");
}

} // namespace

base::result<endpoint> parse_endpoint(std::string_view uri) {
    const auto parsed = boost::urls::parse_uri({uri.data(), uri.size()});
    if (!parsed) {
        return refuse("cannot be read");
    }
    const std::string_view scheme(parsed->scheme().data(), parsed->scheme().size());
    endpoint out;
    std::string database;
    if (scheme == "unix") {
        out.what = endpoint::kind::unix_socket;
        out.host = parsed->path();
        for (const auto& parameter : parsed->params()) {
            if (parameter.key != "db") {
                return refuse("has an unknown parameter");
            }
            database = parameter.value;
        }
    } else if (scheme == "redis" || scheme == "rediss") {
        out.what = scheme == "redis" ? endpoint::kind::tcp : endpoint::kind::tls;
        out.host = parsed->host_address();
        out.port =
            parsed->has_port() && !parsed->port().empty() ? std::string(parsed->port()) : "6379";
        const std::string path = parsed->path();
        // The parser takes what follows a bad port for a path.
        if ((!path.empty() && path.front() != '/') ||
            (!parsed->port().empty() && parsed->port_number() == 0)) {
            return refuse("has a bad port");
        }
        database = path.size() > 1 ? path.substr(1) : "";
    } else {
        return refuse("has an unknown scheme");
    }
    out.user = parsed->user();
    out.password = parsed->password();
    if (!out.user.empty() && !parsed->has_password()) {
        return refuse("names a user without a password");
    }
    if (out.host.empty()) {
        return refuse("names no server");
    }
    if (!database.empty()) {
        const auto number = parse_number(database);
        if (!number) {
            return refuse("has a database that is no number");
        }
        out.database = *number;
    }
    return out;
}

} // namespace immortal::redis
