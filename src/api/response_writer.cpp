#include "api/response_writer.hpp"

#include <array>
#include <charconv>
#include <ctime>

namespace immortal::api {
namespace {

// No answer is a document to be rendered, framed, sniffed or kept by a shared cache.
constexpr std::string_view security_headers =
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n";

// "Sun, 06 Nov 1994 08:49:37 GMT", made once a second and thread.
std::string_view http_date() {
    thread_local std::time_t made_at = 0;
    thread_local std::array<char, 32> text{};
    thread_local std::size_t size = 0;
    const std::time_t now = std::time(nullptr);
    if (now != made_at) {
        static constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed",
                                                            "Thu", "Fri", "Sat"};
        static constexpr std::array<const char*, 12> months = {
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::tm parts{};
        gmtime_r(&now, &parts);
        std::array<char, 32> format{};
        std::strftime(format.data(), format.size(), "___, %d ___ %Y %H:%M:%S GMT", &parts);
        const std::string_view day = days[static_cast<std::size_t>(parts.tm_wday)];
        const std::string_view month = months[static_cast<std::size_t>(parts.tm_mon)];
        day.copy(format.data(), 3);
        month.copy(format.data() + 8, 3);
        text = format;
        size = std::string_view(text.data()).size();
        made_at = now;
    }
    return {text.data(), size};
}

void append_number(std::string& out, std::size_t number) {
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

void append_escaped(std::string& out, std::string_view text) {
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
        }
        out.push_back(c);
    }
}

} // namespace

void append_response(std::string& out, const response& answer, std::string_view request_id,
                     body_part part) {
    const bool bodiless = answer.status == 204 || answer.status == 304;
    out.reserve(out.size() + 512 + answer.headers.size() + answer.body.size());
    out.append("HTTP/1.1 ");
    append_number(out, answer.status);
    out.append(" ").append(reason_phrase(answer.status)).append("\r\nDate: ").append(http_date());
    out.append("\r\nX-Request-Id: ").append(request_id).append("\r\n");
    out.append(security_headers).append(answer.headers);
    if (answer.close) {
        out.append("Connection: close\r\n");
    }
    if (!bodiless) {
        if (!answer.body.empty()) {
            out.append("Content-Type: ").append(answer.content_type).append("\r\n");
        }
        out.append("Content-Length: ");
        append_number(out, answer.body.size());
        out.append("\r\n");
    }
    out.append("\r\n");
    if (!bodiless && part == body_part::sent) {
        out.append(answer.body);
    }
}

response plain_problem(unsigned status, std::string_view code, std::string_view detail,
                       std::string_view request_id) {
    response answer;
    answer.status = status;
    answer.content_type = "application/problem+json";
    answer.add_header("Cache-Control", "no-store");
    std::string& body = answer.body;
    body.append(R"({"type":"urn:immortal:problem:)").append(code);
    body.append(R"(","title":")").append(reason_phrase(status)).append(R"(","status":)");
    append_number(body, status);
    body.append(R"(,"detail":")");
    append_escaped(body, detail);
    body.append(R"(","code":")").append(code).append(R"(","requestId":")");
    append_escaped(body, request_id);
    body.append("\"}");
    return answer;
}

} // namespace immortal::api
