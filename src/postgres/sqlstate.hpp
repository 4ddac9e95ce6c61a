// The one place where PostgreSQL's error codes become ours.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace immortal::postgres {

// What the server said.
struct server_error {
    std::string sqlstate; // five characters; empty when libpq itself failed
    std::string constraint;
    std::string message; // for the log only: it may name tables and values
    bool fatal = false;  // the server ended the session
};

// `reason` of the error when the role may not do it, or may use no schema (unavailable).
inline constexpr std::string_view missing_right = "database_right";

// `reason` of the error when no session comes about (unavailable): the password does not fit the
// role, the role is unknown or may not enter, there is no such database.
inline constexpr std::string_view wrong_password = "database_password";
inline constexpr std::string_view refused_role = "database_role";
inline constexpr std::string_view absent_database = "database_absent";

// `reason` of the error is the constraint's name where one was violated.
[[nodiscard]] base::error to_error(const server_error& from);

// Why no session came about; always unavailable. `text` is libpq's, with PQERRORS_VERBOSE; of
// several servers the last one that gave a SQLSTATE counts.
[[nodiscard]] base::error refusal_of_session(std::string_view text);

// True when the session is of no further use: its prepared statements are stale, or the server has
// become a read-only replica.
[[nodiscard]] bool spoils_connection(const server_error& from) noexcept;

} // namespace immortal::postgres
