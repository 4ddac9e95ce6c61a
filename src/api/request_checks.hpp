// The checks that stand between a request and a handler, one function each.
#pragma once

#include "api/route.hpp"
#include "base/random.hpp"

#include <string>
#include <string_view>

namespace immortal::api {

// "Bearer <token>", with one space or more between. Error: unauthenticated.
[[nodiscard]] base::result<std::string> bearer_token(std::string_view authorization);

// Fills `c.query` and `c.after`. Errors: invalid_argument, naming the parameter: not one of the
// route's, given twice, not of its kind.
[[nodiscard]] base::status read_query(const route& r, call& c);

// Fills `c.idempotency_key`, with a new one where there is none. Error: invalid_argument.
[[nodiscard]] base::status read_idempotency_key(call& c, base::random_source& random);

// Fills `c.body`; an absent optional body is an empty object. Errors: invalid_argument, with reason
// malformed_json, unsupported_media_type, unsupported_content_encoding or unexpected_body, or
// naming a text that is too long or a field that is given twice.
[[nodiscard]] base::status read_body(const route& r, call& c);

// By what the commands of a call are limited: account and acting character (or session).
[[nodiscard]] std::string acting_key(const call& c);

// Whether an If-None-Match field names `tag`.
[[nodiscard]] bool matches_tag(std::string_view if_none_match, std::string_view tag);

// to_problem(), with 400 and 415 for the request's form.
[[nodiscard]] response form_problem(const base::error& what, std::string_view request_id);

awaitable<base::result<answer>> constant_answer(std::string body, freshness kept);

} // namespace immortal::api
