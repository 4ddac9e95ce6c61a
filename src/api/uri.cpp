#include "api/uri.hpp"

namespace immortal::api {
namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

} // namespace

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i]);
            continue;
        }
        if (i + 2 >= text.size()) {
            return std::nullopt;
        }
        const int high = hex_value(text[i + 1]);
        const int low = hex_value(text[i + 2]);
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        const int byte = high * 16 + low;
        if (byte < 0x20 || byte == 0x7f) {
            return std::nullopt;
        }
        out.push_back(static_cast<char>(byte));
        i += 2;
    }
    return out;
}

std::optional<path_segments> split_path(std::string_view path) {
    if (path.empty() || path.front() != '/') {
        return std::nullopt;
    }
    path_segments out;
    std::string_view rest = path.substr(1);
    if (rest.empty()) {
        return out;
    }
    for (;;) {
        const auto slash = rest.find('/');
        const std::string_view segment = rest.substr(0, slash);
        if (segment.empty() || out.count == out.at.size()) {
            return std::nullopt;
        }
        out.at[out.count++] = segment;
        if (slash == std::string_view::npos) {
            return out;
        }
        rest.remove_prefix(slash + 1);
    }
}

base::result<query_parameters> parse_query(std::string_view query) {
    query_parameters out;
    while (!query.empty()) {
        const auto end = query.find('&');
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
        if (pair.empty()) {
            continue;
        }
        const auto equals = pair.find('=');
        auto name = percent_decode(pair.substr(0, equals));
        auto value = equals == std::string_view::npos ? std::optional<std::string>("")
                                                      : percent_decode(pair.substr(equals + 1));
        if (!name || !value) {
            return base::fail(base::errc::invalid_argument,
                              "The query holds a broken percent escape.", "malformed_query");
        }
        for (const auto& [other, ignored] : out) {
            if (other == *name) {
                return base::fail(base::errc::invalid_argument,
                                  "This query parameter may be given once.", "repeated_parameter",
                                  *name);
            }
        }
        if (out.size() == query_parameters_max) {
            return base::fail(base::errc::invalid_argument, "The query has too many parameters.",
                              "malformed_query");
        }
        out.emplace_back(std::move(*name), std::move(*value));
    }
    return out;
}

} // namespace immortal::api
