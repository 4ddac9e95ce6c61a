#include "api/problem.hpp"

#include "api/refusals.hpp"
#include "api/response_writer.hpp"
#include "base/json.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace immortal::api {
namespace {

using base::errc;

constexpr std::uint32_t default_retry_ms = 1'000;

std::string_view code_of(const base::error& what) {
    // The reasons of rules are told as they are; of others, those that are promised.
    if (!what.reason.empty() && (what.code == errc::rejected || is_refusal(what.reason))) {
        return what.reason;
    }
    switch (what.code) {
    case errc::behind:
        return "read_model_behind";
    case errc::mismatch:
        return "idempotency_key_reused";
    case errc::invalid_argument:
        return what.field.empty() ? "invalid_request" : "invalid_field";
    case errc::conflict:
        return "revision_conflict";
    case errc::deleted:
        return "not_found";
    default:
        return base::name_of(what.code);
    }
}

} // namespace

unsigned status_of(errc code) noexcept {
    switch (code) {
    case errc::invalid_argument:
    case errc::mismatch:
        return 422;
    case errc::not_found:
    case errc::deleted:
        return 404;
    case errc::already_exists:
    case errc::rejected:
        return 409;
    case errc::conflict:
        return 412;
    case errc::unauthenticated:
        return 401;
    case errc::forbidden:
        return 403;
    case errc::rate_limited:
        return 429;
    case errc::too_large:
        return 413;
    case errc::unavailable:
    case errc::unknown_outcome:
    case errc::timeout:
    case errc::behind:
    case errc::cancelled:
    case errc::exhausted:
        return 503;
    case errc::corrupt:
    case errc::internal:
        return 500;
    }
    return 500;
}

response to_problem(const base::error& what, std::string_view request_id) {
    return to_problem(status_of(what.code), what, request_id);
}

response to_problem(unsigned status, const base::error& what, std::string_view request_id) {
    if (status == 500) {
        base::log_error("api", "a request failed",
                        {{"code", base::name_of(what.code)},
                         {"reason", what.reason},
                         {"what", what.message},
                         {"request_id", request_id}});
        return plain_problem(500, "internal_error",
                             "The server failed to answer; the request id finds the cause.",
                             request_id);
    }
    base::json::object body;
    const std::string_view code = code_of(what);
    body.emplace("type", "urn:immortal:problem:" + std::string(code));
    body.emplace("title", reason_phrase(status));
    body.emplace("status", status);
    body.emplace("detail", what.message);
    body.emplace("code", code);
    if (!what.field.empty()) {
        body.emplace("field", what.field);
    }
    body.emplace("requestId", request_id);

    response answer;
    answer.status = status;
    answer.content_type = "application/problem+json";
    answer.body = base::json_text(body);
    answer.add_header("Cache-Control", "no-store");
    if (status == 429 || status == 503) {
        const auto wait_ms = what.retry_after_ms == 0 ? default_retry_ms : what.retry_after_ms;
        answer.add_header("Retry-After", std::to_string(std::max(1u, (wait_ms + 999) / 1'000)));
    }
    if (status == 401) {
        answer.add_header("WWW-Authenticate", "Bearer");
    }
    return answer;
}

} // namespace immortal::api
