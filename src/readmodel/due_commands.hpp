// What must happen at a time though nobody asks for it: rows of `due_commands`, derived from the
// events like all others.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "postgres/database.hpp"
#include "readmodel/job_lease.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>
#include <vector>

namespace immortal::readmodel {

// The value of due_command::command for a session that its player left alone.
constexpr const char* complete_unattended_command = "complete_unattended";

struct due_command {
    std::string thing;       // the stream that the deadline is for
    base::revision revision; // of the event in it that set the deadline
    base::uuid owner;        // of the row
    std::string command;
    base::utc_time due_at;
    base::position position; // of the event that set it
    friend bool operator==(const due_command&, const due_command&) = default;
};
BOOST_DESCRIBE_STRUCT(due_command, (), (thing, revision, owner, command, due_at, position))

// The idempotency key under which the command is given: "deadline:<thing>:<revision>".
[[nodiscard]] std::string key_of(const due_command& due);

// Where a page ends; the next one begins behind it.
struct due_cursor {
    base::utc_time due_at;
    std::string thing;
};

// Those due at `now`, the earliest first, behind `after` (empty: from the first). None if `held` is
// no longer this process's lease. Errors: those of the database.
[[nodiscard]] boost::asio::awaitable<base::result<std::vector<due_command>>>
load_due(postgres::database& database, job_fence held, base::utc_time now,
         std::optional<due_cursor> after, std::size_t count_max);

} // namespace immortal::readmodel
