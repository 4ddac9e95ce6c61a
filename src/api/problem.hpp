// Errors to RFC 9457 problem documents: the one place where an error gets its HTTP status.
#pragma once

#include "api/message.hpp"
#include "base/result.hpp"

#include <string_view>

namespace immortal::api {

// 404 not_found and deleted; 409 rejected and already_exists; 412 conflict; 413 too_large; 422
// invalid_argument and mismatch; 401, 403, 429; 503 for whatever may succeed later (unavailable,
// unknown_outcome, timeout, behind, cancelled, exhausted); 500 corrupt and internal.
[[nodiscard]] unsigned status_of(base::errc code) noexcept;

// {"type","title","status","detail","code","field"?,"requestId"}, with Retry-After for 429 and 503
// and WWW-Authenticate for 401. `code` is the error's reason if it is a rule's or one of
// refusals(), else a name for its kind. What is
// behind a 500 is written to the log and not told.
[[nodiscard]] response to_problem(const base::error& what, std::string_view request_id);
// The same with another status, for errors of the request's form (400, 405, 415).
[[nodiscard]] response to_problem(unsigned status, const base::error& what,
                                  std::string_view request_id);

} // namespace immortal::api
