#include "api/request_checks.hpp"

#include "api/dispatcher.hpp"
#include "api/problem.hpp"
#include "api/repeated_key.hpp"

#include <algorithm>
#include <charconv>

namespace immortal::api {
namespace {

using base::errc;
using base::fail;
using base::result;
using base::status;

bool is_visible(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return out;
}

std::optional<std::int64_t> to_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

status wrong_parameter(const std::string& name, std::string message) {
    return fail(errc::invalid_argument, std::move(message), "invalid_parameter", name);
}

status check_parameter(const query_rule& rule, const std::string& value, call& c) {
    switch (rule.what) {
    case query_rule::kind::text:
        if (value.empty() || value.size() > text_size_max) {
            return wrong_parameter(rule.name, "This parameter is empty or too long.");
        }
        break;
    case query_rule::kind::flag:
        if (!value.empty() && value != "true") {
            return wrong_parameter(rule.name, "This parameter stands alone or is \"true\".");
        }
        break;
    case query_rule::kind::integer:
        if (!to_integer(value)) {
            return wrong_parameter(rule.name, "This parameter must be a whole number.");
        }
        break;
    case query_rule::kind::position: {
        const auto number = to_integer(value);
        if (!number || *number < 0 || *number > base::json_integer_max) {
            return wrong_parameter(rule.name, "This parameter must be a position of the log.");
        }
        if (rule.name == "after") {
            c.after = base::position{static_cast<std::uint64_t>(*number)};
        }
        break;
    }
    }
    return {};
}

// RFC 9110, 8.4: only a body as it is can be read here.
bool is_plain(std::string_view codings) {
    while (!codings.empty()) {
        const auto comma = codings.find(',');
        std::string_view one = codings.substr(0, comma);
        codings.remove_prefix(comma == std::string_view::npos ? codings.size() : comma + 1);
        one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
        one = one.substr(0, one.find_last_not_of(" \t") + 1);
        if (!one.empty() && lower(one) != "identity") {
            return false;
        }
    }
    return true;
}

bool is_json(std::string_view content_type) {
    std::string_view kind = content_type.substr(0, content_type.find(';'));
    while (!kind.empty() && (kind.back() == ' ' || kind.back() == '\t')) {
        kind.remove_suffix(1);
    }
    return lower(kind) == "application/json";
}

// Fields that are too long are named; one level is enough, as no schema goes deeper.
status check_text_sizes(const base::json::value& body) {
    const base::json::object* object = body.if_object();
    if (object == nullptr) {
        return {};
    }
    for (const auto& [key, value] : *object) {
        if (key.size() > text_size_max) {
            return fail(errc::invalid_argument, "A field's name is too long.", "unknown_field");
        }
        if (value.is_string() && value.get_string().size() > text_size_max) {
            return fail(errc::invalid_argument, "This text is too long.", "too_long",
                        std::string(key));
        }
    }
    return {};
}

} // namespace

result<std::string> bearer_token(std::string_view authorization) {
    constexpr std::string_view scheme = "bearer ";
    const auto begin = authorization.find_first_not_of(' ', scheme.size()); // RFC 9110: 1*SP
    if (begin == std::string_view::npos ||
        lower(authorization.substr(0, scheme.size())) != scheme) {
        return fail(errc::unauthenticated, "Log in first and send \"Authorization: Bearer "
                                           "<token>\".");
    }
    const std::string_view token = authorization.substr(begin);
    if (token.size() > token_size_max || !is_visible(token)) {
        return fail(errc::unauthenticated, "The token is malformed; log in again.");
    }
    return std::string(token);
}

status read_query(const route& r, call& c) {
    result<query_parameters> parsed = parse_query(c.asked.query());
    if (!parsed) {
        return fail(std::move(parsed.error()));
    }
    for (const auto& [name, value] : *parsed) {
        const auto rule = std::ranges::find(r.query, name, &query_rule::name);
        if (rule == r.query.end()) {
            return fail(errc::invalid_argument, "This address does not know the parameter.",
                        "unknown_parameter", name.substr(0, 64));
        }
        if (status s = check_parameter(*rule, value, c); !s) {
            return s;
        }
    }
    c.query = std::move(*parsed);
    return {};
}

status read_idempotency_key(call& c, base::random_source& random) {
    const std::string& given = c.asked.idempotency_key;
    if (!c.asked.has_idempotency_key) {
        c.idempotency_key = base::uuid::make_random(random).text();
        return {};
    }
    if (given.empty() || given.size() > idempotency_key_size_max || !is_visible(given)) {
        return fail(errc::invalid_argument,
                    "The Idempotency-Key must be 1 to 128 visible ASCII characters.",
                    "invalid_idempotency_key", "Idempotency-Key");
    }
    c.idempotency_key = given;
    return {};
}

status read_body(const route& r, call& c) {
    const std::string& text = c.asked.body;
    if (!is_plain(c.asked.content_encoding)) {
        return fail(errc::invalid_argument,
                    "The body must be sent as it is, without a Content-Encoding.",
                    "unsupported_content_encoding");
    }
    if (r.body == needs_body::none) {
        return text.empty()
                   ? status{}
                   : fail(errc::invalid_argument, "This request takes no body.", "unexpected_body");
    }
    if (text.empty() && r.body == needs_body::optional) {
        c.body = base::json::object{};
        return {};
    }
    if (!c.asked.content_type.empty() && !is_json(c.asked.content_type)) {
        return fail(errc::invalid_argument, "The body must be application/json.",
                    "unsupported_media_type");
    }
    result<base::json::value> parsed = base::parse_json(text);
    if (!parsed) {
        return fail(errc::invalid_argument, "The body is not well-formed JSON.", "malformed_json");
    }
    c.body = std::move(*parsed);
    if (status s = check_text_sizes(c.body); !s) {
        return s;
    }
    if (auto key = repeated_key(text)) {
        return fail(errc::invalid_argument, "This field is given more than once.", "repeated_field",
                    std::move(*key));
    }
    return {};
}

std::string acting_key(const call& c) {
    std::string key = c.who ? c.who->user_id.text() : std::string();
    key.push_back('/');
    if (!c.ids.empty()) {
        return key + c.ids.front().text();
    }
    if (const base::json::object* body = c.body.if_object()) {
        const base::json::value* player = body->if_contains("playerId");
        if (player != nullptr && player->is_string()) {
            // Canonical, so that another spelling of an id is not another bucket.
            const auto id = base::uuid::parse(player->get_string());
            key += id ? id->text() : std::string("?");
        }
    }
    return key;
}

bool matches_tag(std::string_view if_none_match, std::string_view tag) {
    std::string_view rest = if_none_match;
    if (rest == "*") {
        return true;
    }
    while (!rest.empty()) {
        const auto open = rest.find('"');
        if (open == std::string_view::npos) {
            return false;
        }
        const auto close = rest.find('"', open + 1);
        if (close == std::string_view::npos) {
            return false;
        }
        if (rest.substr(open + 1, close - open - 1) == tag) {
            return true;
        }
        rest.remove_prefix(close + 1);
    }
    return false;
}

response form_problem(const base::error& what, std::string_view request_id) {
    if (what.code == errc::invalid_argument) {
        if (what.reason == "unsupported_media_type") {
            response out = to_problem(415, what, request_id);
            out.add_header("Accept", "application/json");
            return out;
        }
        if (what.reason == "unsupported_content_encoding") {
            response out = to_problem(415, what, request_id);
            out.add_header("Accept-Encoding", "identity");
            return out;
        }
        if (what.reason == "malformed_json" || what.reason == "malformed_query" ||
            what.reason == "unexpected_body") {
            return to_problem(400, what, request_id);
        }
    }
    return to_problem(what, request_id);
}

const std::string* call::parameter(std::string_view name) const noexcept {
    const auto found = std::ranges::find(query, name, &std::pair<std::string, std::string>::first);
    return found == query.end() ? nullptr : &found->second;
}

result<std::int64_t> call::integer(std::string_view name, std::int64_t otherwise, std::int64_t min,
                                   std::int64_t max) const {
    const std::string* text = parameter(name);
    if (text == nullptr) {
        return otherwise;
    }
    const auto value = to_integer(*text);
    if (!value || *value < min || *value > max) {
        return fail(errc::invalid_argument,
                    "This parameter must be a whole number from " + std::to_string(min) + " to " +
                        std::to_string(max) + ".",
                    "invalid_parameter", std::string(name));
    }
    return *value;
}

awaitable<result<answer>> refused(base::error why) {
    co_return fail(std::move(why));
}

awaitable<result<answer>> constant_answer(std::string body, freshness kept) {
    answer out;
    out.body = std::move(body);
    out.kept = kept;
    co_return out;
}

} // namespace immortal::api
