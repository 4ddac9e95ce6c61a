#include "api/request_parser.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <limits>
#include <optional>

namespace immortal::api {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using beast_text = boost::beast::string_view;

// "0 CRLF CRLF": what is missing of a chunked body is never less. Beast 1.81 asserts this of its
// second look at the last chunk, so it is shown fewer bytes only once.
constexpr std::size_t last_chunk_size = 5;

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
        return lower(x) == lower(y);
    });
}

bool is_acceptable_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

method to_method(http::verb verb) {
    switch (verb) {
    case http::verb::get:
        return method::get;
    case http::verb::head:
        return method::head;
    case http::verb::post:
        return method::post;
    case http::verb::put:
        return method::put;
    case http::verb::patch:
        return method::patch;
    case http::verb::delete_:
        return method::delete_;
    case http::verb::options:
        return method::options;
    default:
        return method::other;
    }
}

constexpr framing_error repeated_header{400, "repeated_header",
                                        "A header field that may stand once is repeated."};
constexpr framing_error bad_content_length{400, "bad_content_length",
                                           "The Content-Length field is malformed."};
constexpr framing_error bad_framing{400, "bad_framing",
                                    "Content-Length and Transfer-Encoding contradict each other."};

// Fields that the parser has met, as bits.
enum seen : unsigned {
    seen_host = 1,
    seen_authorization = 2,
    seen_content_type = 4,
    seen_idempotency_key = 8,
    seen_content_length = 16,
    seen_expect = 32,
    seen_transfer_encoding = 64,
};

class strict_parser final : public http::basic_parser<true> {
public:
    strict_parser(request& out, const parser_limits& limits) : out_(out), limits_(limits) {
        eager(true);
        header_limit(static_cast<std::uint32_t>(limits.header_size_max));
        body_limit(limits.body_size_max);
    }

    // Why it stopped with `ec`.
    [[nodiscard]] framing_error explain(const error_code& ec) const;

    bool expects_continue = false;
    bool header_complete = false;
    std::string forwarded;

private:
    void refuse(error_code& ec, unsigned status, std::string_view code, std::string_view detail) {
        refusal_ = {status, code, detail};
        ec = http::error::bad_field;
    }

    bool once(seen what, error_code& ec) {
        if ((seen_ & what) != 0) {
            refusal_ = repeated_header;
            ec = http::error::bad_field;
            return false;
        }
        seen_ |= what;
        return true;
    }

    void on_request_impl(http::verb verb, beast_text, beast_text target, int version,
                         error_code& ec) override {
        out_.verb = to_method(verb);
        version_ = version;
        std::string_view text(target.data(), target.size());
        if (text.front() != '/' && text != "*") {
            // The absolute form: its authority is dropped.
            const auto scheme = text.find("://");
            const bool is_http = scheme != std::string_view::npos &&
                                 (equals_ignoring_case(text.substr(0, scheme), "http") ||
                                  equals_ignoring_case(text.substr(0, scheme), "https"));
            const auto slash = is_http ? text.find('/', scheme + 3) : std::string_view::npos;
            if (slash == std::string_view::npos) {
                return refuse(ec, 400, "bad_target", "The request target must be a path.");
            }
            text.remove_prefix(slash);
        }
        const bool plain = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
        if (!plain || text.find('#') != std::string_view::npos) {
            return refuse(ec, 400, "bad_target", "The request target holds forbidden characters.");
        }
        out_.target.assign(text);
    }

    void on_field_impl(http::field name, beast_text name_text, beast_text value_text,
                       error_code& ec) override {
        if (header_complete) {
            return refuse(ec, 400, "trailer_fields", "Trailer fields are not accepted.");
        }
        if (++fields_ > limits_.header_fields_max) {
            return refuse(ec, 431, "too_many_headers", "The request has too many header fields.");
        }
        const std::string_view value(value_text.data(), value_text.size());
        switch (name) {
        case http::field::host:
            if (once(seen_host, ec) && value.find_first_of(" ,\t") != std::string_view::npos) {
                refuse(ec, 400, "bad_host", "The Host field is malformed.");
            }
            return;
        case http::field::transfer_encoding:
            seen_ |= seen_transfer_encoding;
            if (version_ < 11 || !equals_ignoring_case(value, "chunked")) {
                refuse(ec, 400, "bad_transfer_encoding",
                       "The only transfer encoding accepted is \"chunked\", in HTTP/1.1.");
            }
            return;
        case http::field::content_length:
            if (once(seen_content_length, ec) && !all_digits(value)) {
                refusal_ = bad_content_length;
                ec = http::error::bad_field;
            }
            return;
        case http::field::authorization:
            return keep(seen_authorization, value, out_.authorization, ec);
        case http::field::content_type:
            return keep(seen_content_type, value, out_.content_type, ec);
        case http::field::content_encoding:
            out_.content_encoding.append(out_.content_encoding.empty() ? "" : ",").append(value);
            return;
        case http::field::if_none_match:
            out_.if_none_match.assign(value);
            return;
        case http::field::expect:
            if (once(seen_expect, ec)) {
                if (!equals_ignoring_case(value, "100-continue")) {
                    return refuse(ec, 417, "unknown_expectation", "The expectation is not known.");
                }
                expects_continue = version_ >= 11;
            }
            return;
        default:
            return on_other_field({name_text.data(), name_text.size()}, value, ec);
        }
    }

    void on_other_field(std::string_view name, std::string_view value, error_code& ec) {
        if (equals_ignoring_case(name, "Idempotency-Key")) {
            out_.has_idempotency_key = true;
            keep(seen_idempotency_key, value, out_.idempotency_key, ec);
        } else if (equals_ignoring_case(name, "X-Request-Id")) {
            if (is_acceptable_id(value)) {
                out_.request_id.assign(value);
            }
        } else if (equals_ignoring_case(name, "X-Forwarded-For")) {
            const auto comma = value.rfind(',');
            std::string_view last =
                comma == std::string_view::npos ? value : value.substr(comma + 1);
            last.remove_prefix(std::min(last.find_first_not_of(' '), last.size()));
            forwarded.assign(last);
        }
    }

    void keep(seen what, std::string_view value, std::string& into, error_code& ec) {
        if (once(what, ec)) {
            into.assign(value);
        }
    }

    static bool all_digits(std::string_view text) {
        return !text.empty() &&
               std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    }

    void on_header_impl(error_code& ec) override {
        header_complete = true;
        if (version_ >= 11 && (seen_ & seen_host) == 0) {
            refuse(ec, 400, "missing_host", "HTTP/1.1 requires a Host field.");
        }
    }

    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code& ec) override {
        ec = {};
    }
    std::size_t on_body_impl(beast_text body, error_code&) override {
        out_.body.append(body.data(), body.size());
        return body.size();
    }
    void on_chunk_header_impl(std::uint64_t, beast_text extensions, error_code& ec) override {
        if (!extensions.empty()) {
            refuse(ec, 400, "chunk_extension", "Chunk extensions are not accepted.");
        }
    }
    std::size_t on_chunk_body_impl(std::uint64_t, beast_text body, error_code&) override {
        out_.body.append(body.data(), body.size());
        return body.size();
    }
    void on_finish_impl(error_code& ec) override { ec = {}; }
    void on_response_impl(int, beast_text, int, error_code&) override {}

    request& out_;
    const parser_limits& limits_;
    int version_ = 11;
    unsigned seen_ = 0;
    std::size_t fields_ = 0;
    framing_error refusal_;
};

framing_error describe(const error_code& ec) {
    if (ec == http::error::header_limit) {
        return {431, "header_too_large", "The request's header is too large."};
    }
    if (ec == http::error::body_limit) {
        return {413, "body_too_large", "The request's body is too large."};
    }
    if (ec == http::error::bad_version) {
        return {400, "bad_version", "The HTTP version is malformed or not supported."};
    }
    return {400, "malformed_request", "The request is not well-formed HTTP/1.1."};
}

// Beast judges the two fields of the framing before on_field_impl() sees them.
framing_error strict_parser::explain(const error_code& ec) const {
    if (!refusal_.code.empty()) {
        return refusal_;
    }
    if (ec == http::error::multiple_content_length) {
        return repeated_header;
    }
    if (ec == http::error::bad_content_length) {
        return (seen_ & seen_transfer_encoding) != 0 ? bad_framing : bad_content_length;
    }
    if (ec == http::error::bad_transfer_encoding) {
        return (seen_ & seen_content_length) != 0 ? bad_framing : repeated_header;
    }
    return describe(ec);
}

} // namespace

struct request_parser::impl {
    explicit impl(parser_limits given) : limits(given) {}

    parser_limits limits;
    request message;
    std::optional<strict_parser> parser;
    std::size_t header_bytes = 0;
    framing_error error;

    progress fail(framing_error why) {
        error = why;
        return progress::failed;
    }
    progress put(std::string_view bytes, std::size_t& consumed);
    // An eager parser may have taken a part of the body too.
    [[nodiscard]] std::string_view header_part(std::string_view bytes, std::size_t taken) const {
        if (!parser->header_complete || bytes.starts_with("\r\n")) {
            return bytes.substr(0, parser->header_complete ? 2 : taken);
        }
        return bytes.substr(0, bytes.find("\r\n\r\n"));
    }
    // Header lines folded over two are legal to refuse (RFC 9112, 5.2); Beast would join them.
    [[nodiscard]] static bool has_folded_line(std::string_view header) {
        return header.find("\r\n ") != std::string_view::npos ||
               header.find("\r\n\t") != std::string_view::npos;
    }
};

request_parser::progress request_parser::impl::put(std::string_view bytes, std::size_t& consumed) {
    consumed = 0;
    while (consumed < bytes.size()) {
        const std::string_view rest = bytes.substr(consumed);
        const bool in_header = !parser->header_complete;
        if (!in_header && parser->chunked() && rest.size() < last_chunk_size) {
            break;
        }
        error_code ec;
        const std::size_t taken = parser->put({rest.data(), rest.size()}, ec);
        if (in_header) {
            const std::string_view header = header_part(rest, taken);
            header_bytes += header.size();
            if (has_folded_line(header)) {
                return fail({400, "folded_header", "Folded header lines are not accepted."});
            }
            if (header_bytes > limits.header_size_max) {
                return fail(describe(http::error::header_limit));
            }
        }
        consumed += taken;
        if (ec == http::error::need_more) {
            break;
        }
        if (ec) {
            return fail(parser->explain(ec));
        }
        if (parser->is_done()) {
            return progress::done;
        }
        if (taken == 0) {
            break;
        }
    }
    const std::size_t waiting = bytes.size() - consumed;
    if (!parser->header_complete && header_bytes + waiting > limits.header_size_max) {
        return fail(describe(http::error::header_limit));
    }
    if (parser->header_complete && waiting > limits.header_size_max) {
        return fail({400, "malformed_request", "A chunk header is too long."});
    }
    return progress::need_more;
}

request_parser::request_parser(parser_limits limits) : impl_(std::make_unique<impl>(limits)) {
    reset();
}
request_parser::~request_parser() = default;

void request_parser::reset() {
    impl_->message.clear();
    impl_->parser.emplace(impl_->message, impl_->limits);
    impl_->header_bytes = 0;
    impl_->error = {};
}

request_parser::progress request_parser::put(std::string_view bytes, std::size_t& consumed) {
    return impl_->put(bytes, consumed);
}

bool request_parser::header_done() const noexcept {
    return impl_->parser->header_complete;
}
bool request_parser::keep_alive() const noexcept {
    return impl_->parser->keep_alive();
}
bool request_parser::wants_continue() const noexcept {
    return impl_->parser->expects_continue && impl_->message.body.empty();
}
const framing_error& request_parser::error() const noexcept {
    return impl_->error;
}
std::string_view request_parser::forwarded_for() const noexcept {
    return impl_->parser->forwarded;
}
request& request_parser::message() noexcept {
    return impl_->message;
}

} // namespace immortal::api
