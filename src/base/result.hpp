// The outcome of something that may be refused: a value or an `error`.
//
// Three kinds of failure are kept apart everywhere: an expected outcome is a `result`; a broken
// environment (a lost connection, a failed allocation) that no caller can act on is an exception,
// caught at a session, request or job boundary; a programmer's mistake is an assertion (assert.hpp)
// that stays on in release builds.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace immortal::base {

// What a caller can act on. A new code is added only when some caller branches on it.
enum class errc : std::uint8_t {
    invalid_argument, // the request can never succeed as it is
    not_found,        // the thing named does not exist
    already_exists,   // the thing to be made exists
    conflict,         // an expected revision, or another optimistic check, did not hold
    rejected,         // a rule of the game says no (`reason` says which)
    mismatch,         // an idempotency key was used with another request
    unauthenticated,  // no valid session
    forbidden,        // a valid session that may not do this
    rate_limited,     // too many requests; `retry_after_ms` says when to come back
    too_large,        // a size limit was exceeded
    unavailable,      // nothing was done; trying again later may succeed
    unknown_outcome,  // it may or may not have been done; repeat the same request to find out
    timeout,          // the deadline passed; nothing was done
    behind,           // the read model has not reached the position asked for
    corrupt,          // stored bytes fail their checks
    cancelled,        // the component is stopping
    exhausted,        // a named bound (queue, disk floor) is reached
    deleted,          // the stream is tombstoned
    internal,         // a defect or a broken environment; details are in the log only
};

[[nodiscard]] std::string_view name_of(errc code) noexcept;

// `message` is a sentence for the user: what was wrong and what to do. It never carries SQL, paths
// or stack traces. `reason` is a stable machine-readable code (for example "not_enough_energy"),
// empty where `code` says it all. `field` names the offending input field (JSON name), empty if
// none.
struct error {
    errc code = errc::internal;
    std::string message;
    std::string reason = {};
    std::string field = {};
    std::uint32_t retry_after_ms = 0;
};

template <typename T>
using result = std::expected<T, error>;
using status = std::expected<void, error>;

[[nodiscard]] inline std::unexpected<error> fail(errc code, std::string message,
                                                 std::string reason = {}, std::string field = {}) {
    return std::unexpected(error{code, std::move(message), std::move(reason), std::move(field), 0});
}

[[nodiscard]] inline std::unexpected<error> fail(error e) {
    return std::unexpected(std::move(e));
}

} // namespace immortal::base
