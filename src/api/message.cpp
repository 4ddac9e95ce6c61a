#include "api/message.hpp"

#include <array>

namespace immortal::api {

std::string_view name_of(method verb) noexcept {
    static constexpr std::array<std::string_view, method_count> names = {
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"};
    return names[static_cast<std::size_t>(verb)];
}

std::string_view request::path() const noexcept {
    const std::string_view all = target;
    return all.substr(0, all.find('?'));
}

std::string_view request::query() const noexcept {
    const std::string_view all = target;
    const auto mark = all.find('?');
    return mark == std::string_view::npos ? std::string_view() : all.substr(mark + 1);
}

void request::clear() {
    verb = method::get;
    target.clear();
    authorization.clear();
    content_type.clear();
    content_encoding.clear();
    idempotency_key.clear();
    if_none_match.clear();
    request_id.clear();
    body.clear();
    has_idempotency_key = false;
}

void response::add_header(std::string_view name, std::string_view value) {
    headers.append(name).append(": ");
    for (const char c : value) {
        if (c >= ' ' && c <= '~') {
            headers.push_back(c);
        }
    }
    headers.append("\r\n");
}

std::string_view reason_phrase(unsigned status) noexcept {
    switch (status) {
    case 100:
        return "Continue";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Unknown";
    }
}

} // namespace immortal::api
