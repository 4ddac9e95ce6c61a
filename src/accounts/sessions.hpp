// Sessions: rows in PostgreSQL, remembered for a moment in Redis (`session:<userId>`) and in this
// process.
#pragma once

#include "accounts/session_table.hpp"
#include "base/json.hpp"

#include <vector>

namespace immortal::accounts {

// Redis' value: an account's sessions as PostgreSQL had them. It only ever confirms a session that
// this process has read from PostgreSQL before; who its owner is and may do is not taken from it.
struct remembered_session {
    std::string token_hash;
    base::uuid id;
    base::utc_time last_seen_at;
    base::utc_time expires_at;
};
BOOST_DESCRIBE_STRUCT(remembered_session, (), (token_hash, id, last_seen_at, expires_at))

struct remembered_sessions {
    base::utc_time as_of;
    std::vector<remembered_session> sessions;
};
BOOST_DESCRIBE_STRUCT(remembered_sessions, (), (as_of, sessions))

// A user as a log-in needs it.
struct owner {
    base::uuid id;
    std::string username;
    role rank = role::player;
    std::int32_t session_epoch = 0;
};

// Thread-safe. `with` and `options` outlive it.
class sessions {
public:
    sessions(const parts& with, const settings& options);

    // A new session, made only while the user is active and its epoch holds; the account's oldest
    // ones beyond `sessions_max` end. Errors: unauthenticated (the epoch has passed), unavailable
    // ...
    awaitable<base::result<opened_session>> open(owner whose);
    awaitable<base::result<principal>> authenticate(std::string token);
    awaitable<base::status> close(principal who);

    // To stand in the transaction that ends a user's sessions, and to follow it.
    [[nodiscard]] static postgres::query announcement(const base::uuid& user);
    awaitable<void> revoked(base::uuid user);
    // Another process has revoked; empty: anything may have been.
    void heard(std::optional<base::uuid> user);

    awaitable<base::status> remove_expired();
    [[nodiscard]] milliseconds idle_limit(role rank) const;

private:
    struct loaded; // one account's sessions as SQL gave them
    awaitable<bool> confirmed_by_redis(std::string token_hash, principal who);
    awaitable<base::result<std::optional<principal>>> load(std::string token_hash);
    awaitable<void> remember(base::uuid user, remembered_sessions what);
    awaitable<void> touch(base::uuid session, base::utc_time last_seen);
    [[nodiscard]] bool alive(base::utc_time last_seen, base::utc_time expires, role rank) const;

    const parts& with_;
    const settings& options_;
    session_table table_;
};

[[nodiscard]] role role_of(std::string_view name);

} // namespace immortal::accounts
