// Users, passwords, sessions. Rows in PostgreSQL (sql/0001_accounts.sql) are the truth; what Redis
// and this process remember of a session is at most a second old.
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "postgres/database.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::eventstore {
class event_store;
}
namespace immortal::redis {
class client;
}

namespace immortal::accounts {

using boost::asio::awaitable;
using std::chrono::milliseconds;

enum class role : std::uint8_t { player, gm, admin };
[[nodiscard]] std::string_view name_of(role rank) noexcept;

// A valid session and whose it is.
struct principal {
    base::uuid user_id;
    std::string username;
    role rank = role::player;
    base::uuid session_id;
    base::utc_time expires_at; // the absolute limit
};

struct registration {
    base::uuid user_id;
    bool repeated = false; // the key had been used: this is the first answer
};

struct opened_session {
    std::string token; // 64 hexadecimal digits; kept nowhere
    base::uuid user_id;
    base::uuid session_id;
    base::utc_time expires_at;
};

struct profile {
    base::uuid user_id;
    std::string username;
    std::string email;
    role rank = role::player;
    base::utc_time created_at;
    std::optional<base::utc_time> last_login_at;
    std::size_t sessions = 0; // that are valid now
};

// An account whose players have not all forgotten the person yet.
struct pending_erasure {
    base::uuid user_id;
    base::utc_time requested_at;
};

struct settings {
    milliseconds session_idle{std::chrono::minutes(30)};
    milliseconds session_absolute{std::chrono::hours(12)};
    milliseconds staff_session_idle{std::chrono::minutes(15)}; // gm, admin; the smaller one counts
    milliseconds staff_session_absolute{std::chrono::hours(8)};
    std::size_t sessions_max = 16; // of one account; a new log-in ends the oldest

    // argon2id
    std::uint64_t hash_memory_bytes = 19'456u << 10;
    std::uint64_t hash_passes = 2;
    unsigned hashes_at_once = 2;
    std::size_t hash_queue_max = 64;

    // Limits, checked before any hashing; 0 switches one off.
    double logins_per_minute = 20;     // of a source, right or wrong
    double registrations_per_hour = 5; // of a source
    std::uint32_t failures_free = 5;   // of an account from a source in 15 minutes; then each
                                       // further one doubles the wait: 1 s to 15 min
    std::uint32_t account_failures_free = 100; // of an account in a day, from sources it has not
                                               // logged in from; then likewise
    std::size_t sources_max = 100'000;         // remembered; the least recently seen is forgotten

    milliseconds session_cache_age{1000}; // how old a remembered session may be
    std::size_t sessions_cached_max = 100'000;
};

// What the service works with; everything outlives it.
struct parts {
    boost::asio::any_io_executor executor;
    postgres::database& database;
    postgres::settings listening;             // where to LISTEN for revocations
    redis::client* redis = nullptr;           // null: not used
    eventstore::event_store* store = nullptr; // for `system-events`; null: nothing is recorded
    base::clock& clock;                       // the wall clock, not the game's
    base::random_source& random;              // cryptographically secure
    base::metrics& metrics;
};

struct service_state;

// Thread-safe; callers resume on their own executor. `source` is the address a request came from.
// Every call answers unavailable when PostgreSQL is away (authenticate() within a second).
//
// Log-ins, failed ones, registrations, log-outs, password changes, erasures and role changes become
// events of `system-events`, with the user's id and nothing secret or personal. When the event
// store does not take one, the log says so and the call goes on.
class service {
public:
    service(parts with, settings options);
    ~service();
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    // Listens for revocations of other processes, and removes what has expired, once an hour. After
    // start(), stop() comes before the destructor; no call may be under way then.
    void start();
    awaitable<void> stop();

    // Errors: invalid_argument (`field`: username, email, password), already_exists (`field`:
    // username, email), rate_limited, mismatch (the key came with another request). With a key (not
    // empty, at most 255 bytes) a retry finds what the first call made; the key's scope is the user
    // name.
    awaitable<base::result<registration>> register_user(std::string username, std::string email,
                                                        std::string password, std::string source,
                                                        std::string idempotency_key = {});

    // `name`: user name or e-mail. Errors: unauthenticated (the same, after the same time, for an
    // unknown name and a wrong password), rate_limited.
    awaitable<base::result<opened_session>> log_in(std::string name, std::string password,
                                                   std::string source);

    // Errors: unauthenticated (unknown, ended or expired), unavailable.
    awaitable<base::result<principal>> authenticate(std::string token);

    // Ends the session: at once here, in other processes when they hear of it, within a second at
    // most.
    awaitable<base::status> log_out(principal who);

    // Ends all other sessions. Errors: forbidden (`reason`: wrong_password, `field`:
    // currentPassword), invalid_argument (`field`: newPassword), rate_limited, mismatch.
    awaitable<base::status> change_password(principal who, std::string current_password,
                                            std::string new_password, std::string source,
                                            std::string idempotency_key = {});

    // Errors: unauthenticated (the account is gone).
    awaitable<base::result<profile>> me(principal who);

    // Replaces name, e-mail and password by a pseudonym and ends all sessions; the id stays, so
    // that what refers to it stays whole. It cannot be undone. Doing it again changes nothing. The
    // account's players are somebody else's work: the erasure is pending until finish_erasure().
    awaitable<base::status> erase(principal who);
    // In the order of the users' ids, those behind `after`, at most 100.
    awaitable<base::result<std::vector<pending_erasure>>> pending_erasures(base::uuid after = {});
    // Doing it again changes nothing.
    awaitable<base::status> finish_erasure(base::uuid user);

    // For the operator's command line. Errors: not_found. Ends the user's sessions.
    awaitable<base::status> set_role(std::string username, role rank);

private:
    std::shared_ptr<service_state> state_;
};

} // namespace immortal::accounts
