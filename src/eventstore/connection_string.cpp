#include "eventstore/connection_string.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;

constexpr std::size_t text_size_max = 8192;
constexpr std::int64_t milliseconds_max = 86'400'000;

std::unexpected<base::error> wrong(std::string what) {
    return fail(errc::invalid_argument, "the connection string of the event store: " + what);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
    return out;
}

// "max_Discover_Attempts" -> "maxdiscoverattempts"
std::string canonical_key(std::string_view text) {
    std::string out = lower(text);
    std::erase(out, '_');
    return out;
}

int hex_digit(char c) {
    c = lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                      : std::nullopt;
}

base::status read_scheme(std::string_view scheme, connection_settings& out) {
    const std::string name = lower(scheme);
    std::string_view base_name = name;
    constexpr std::string_view discover = "+discover";
    if (base_name.ends_with(discover)) {
        out.discover = true;
        base_name.remove_suffix(discover.size());
    }
    if (base_name != "esdb" && base_name != "kurrentdb" && base_name != "kurrent" &&
        base_name != "kdb") {
        return wrong(fmt::format("'{}' is not a scheme; expected esdb:// or kurrentdb://, or the "
                                 "same with +discover",
                                 scheme));
    }
    return {};
}

base::status read_login(std::string_view text, connection_settings& out) {
    const auto colon = text.find(':');
    const auto login = percent_decoded(text.substr(0, colon));
    const auto password = colon == std::string_view::npos ? std::optional<std::string>()
                                                          : percent_decoded(text.substr(colon + 1));
    if (!login || login->empty() || !password) {
        return wrong("expected login:password before the '@', with special characters as %XX");
    }
    out.login = *login;
    out.password = *password;
    return {};
}

base::result<endpoint> read_host(std::string_view text) {
    endpoint out;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) {
            return wrong(fmt::format("'{}' has no closing bracket", text));
        }
        out.host = text.substr(1, close - 1);
        port = text.substr(close + 1);
    } else {
        const auto colon = text.find(':');
        out.host = text.substr(0, colon);
        port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    }
    const bool printable =
        std::ranges::all_of(out.host, [](char c) { return c > ' ' && c < '\x7f'; });
    if (!printable) {
        return wrong("a host has a character that no name and no address has");
    }
    if (out.host.empty()) {
        return wrong("a host is missing; expected host or host:port, several with commas between");
    }
    if (port.empty()) {
        return out;
    }
    const auto value = port.front() == ':' ? number(port.substr(1)) : std::nullopt;
    if (!value || *value < 1 || *value > 65535) {
        return wrong(fmt::format("'{}' is not host:port with a port of 1 to 65535", text));
    }
    out.port = static_cast<std::uint16_t>(*value);
    return out;
}

base::status read_hosts(std::string_view text, connection_settings& out) {
    for (;;) {
        const auto comma = text.find(',');
        auto host = read_host(text.substr(0, comma));
        if (!host) {
            return fail(std::move(host.error()));
        }
        out.hosts.push_back(std::move(*host));
        if (comma == std::string_view::npos) {
            break;
        }
        text.remove_prefix(comma + 1);
    }
    out.discover = out.discover || out.hosts.size() > 1;
    return {};
}

// How the value of each key is read; false: it is not what was expected.
struct key_reader {
    std::string_view expected;
    std::function<bool(std::string_view, connection_settings&)> read;
};

key_reader flag(bool connection_settings::* member) {
    return {"true or false", [member](std::string_view text, connection_settings& out) {
                const std::string value = lower(text);
                out.*member = value == "true";
                return value == "true" || value == "false";
            }};
}

key_reader text_value(std::string connection_settings::* member) {
    return {"a text", [member](std::string_view text, connection_settings& out) {
                out.*member = text;
                return !text.empty();
            }};
}

key_reader duration(milliseconds connection_settings::* member) {
    return {"a number of milliseconds, at least 1",
            [member](std::string_view text, connection_settings& out) {
                const auto value = number(text);
                out.*member = milliseconds(value.value_or(0));
                return value && *value >= 1 && *value <= milliseconds_max;
            }};
}

key_reader duration_or_off(std::optional<milliseconds> connection_settings::* member) {
    return {"a number of milliseconds, or -1 for never",
            [member](std::string_view text, connection_settings& out) {
                const auto value = number(text);
                out.*member =
                    value && *value >= 0 ? std::optional(milliseconds(*value)) : std::nullopt;
                return value && *value >= -1 && *value <= milliseconds_max;
            }};
}

bool read_attempts(std::string_view text, connection_settings& out) {
    const auto value = number(text);
    out.discover_attempts =
        static_cast<unsigned>(std::clamp<std::int64_t>(value.value_or(1), 1, 1000));
    return value && *value >= 1 && *value <= 1000;
}

bool read_preference(std::string_view text, connection_settings& out) {
    static const std::map<std::string, node_preference, std::less<>> names{
        {"leader", node_preference::leader},
        {"follower", node_preference::follower},
        {"readonlyreplica", node_preference::read_only_replica},
        {"random", node_preference::random}};
    const auto found = names.find(canonical_key(text));
    if (found == names.end()) {
        return false;
    }
    out.preference = found->second;
    return true;
}

const std::map<std::string, key_reader, std::less<>>& key_readers() {
    using settings = connection_settings;
    static const std::map<std::string, key_reader, std::less<>> readers{
        {"tls", flag(&settings::tls)},
        {"tlsverifycert", flag(&settings::verify_certificate)},
        {"tlscafile", text_value(&settings::ca_file)},
        {"usercertfile", text_value(&settings::user_cert_file)},
        {"userkeyfile", text_value(&settings::user_key_file)},
        {"connectionname", text_value(&settings::connection_name)},
        {"maxdiscoverattempts", {"a number from 1 to 1000", read_attempts}},
        {"discoveryinterval", duration(&settings::discovery_interval)},
        {"gossiptimeout", duration(&settings::gossip_timeout)},
        {"nodepreference", {"leader, follower, readOnlyReplica or random", read_preference}},
        {"keepaliveinterval", duration_or_off(&settings::keepalive_interval)},
        {"keepalivetimeout", duration(&settings::keepalive_timeout)},
        {"defaultdeadline", duration_or_off(&settings::default_deadline)},
        // Known to clients, without effect here: a failed append is always an error, names are
        // resolved by the system.
        {"throwonappendfailure",
         {"true or false", [](std::string_view, settings&) { return true; }}},
        {"dnsdiscover", {"true or false", [](std::string_view, settings&) { return true; }}},
    };
    return readers;
}

base::status read_keys(std::string_view text, connection_settings& out) {
    while (!text.empty()) {
        const auto next = text.find('&');
        const std::string_view pair = text.substr(0, next);
        text = next == std::string_view::npos ? std::string_view() : text.substr(next + 1);
        if (pair.empty()) {
            continue;
        }
        const auto equals = pair.find('=');
        const auto value = equals == std::string_view::npos
                               ? std::nullopt
                               : percent_decoded(pair.substr(equals + 1));
        if (!value) {
            return wrong(fmt::format("'{}' is not key=value", pair));
        }
        const std::string key = canonical_key(pair.substr(0, equals));
        const auto reader = key_readers().find(key);
        if (reader == key_readers().end()) {
            out.unknown.emplace_back(pair.substr(0, equals));
            continue;
        }
        if (!reader->second.read(*value, out)) {
            return wrong(fmt::format("{} must be {}, not '{}'", pair.substr(0, equals),
                                     reader->second.expected, *value));
        }
        out.given.push_back(key);
    }
    return {};
}

base::status check_together(const connection_settings& of) {
    if (of.user_cert_file.empty() != of.user_key_file.empty()) {
        return wrong("userCertFile and userKeyFile are given together");
    }
    if (!of.tls && !of.user_cert_file.empty()) {
        return wrong("a client certificate needs tls=true");
    }
    return {};
}

} // namespace

std::string endpoint::text() const {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                               : fmt::format("[{}]:{}", host, port);
}

bool connection_settings::names(std::string_view key) const {
    return std::ranges::find(given, key) != given.end();
}

base::result<connection_settings> parse_connection_string(std::string_view text) {
    connection_settings out;
    if (text.size() > text_size_max) {
        return wrong("it is longer than 8192 characters");
    }
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) {
        return wrong("expected kurrentdb://host:port?tls=false or the like");
    }
    const auto scheme = text.substr(0, scheme_end);
    std::string_view rest = text.substr(scheme_end + 3);
    const auto keys_begin = rest.find('?');
    const std::string_view keys =
        keys_begin == std::string_view::npos ? std::string_view() : rest.substr(keys_begin + 1);
    rest = rest.substr(0, keys_begin);
    const auto at = rest.rfind('@');
    const bool has_login = at != std::string_view::npos;
    std::string_view hosts = has_login ? rest.substr(at + 1) : rest;
    if (hosts.ends_with('/')) {
        hosts.remove_suffix(1);
    }
    base::status done = read_scheme(scheme, out);
    if (done && has_login) {
        done = read_login(rest.substr(0, at), out);
    }
    if (done) {
        done = read_hosts(hosts, out);
    }
    if (done) {
        done = read_keys(keys, out);
    }
    if (done) {
        done = check_together(out);
    }
    return done ? base::result<connection_settings>(std::move(out)) : fail(std::move(done.error()));
}

std::string describe(const connection_settings& of) {
    std::string hosts;
    for (const endpoint& host : of.hosts) {
        hosts += (hosts.empty() ? "" : ",") + host.text();
    }
    return fmt::format("{}{}", hosts, of.tls ? " (TLS)" : "");
}

} // namespace immortal::eventstore
