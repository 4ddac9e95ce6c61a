// The users of the event store, kept in the store itself. In memory: one record a user, folded from
// the `$user-` streams and kept fresh by a subscription, so that changes written in any way count.
#pragma once

#include "accounts/failure_guard.hpp"
#include "accounts/password_hasher.hpp"
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "esdb/credentials.hpp"
#include "esdb/source_shares.hpp"
#include "esdb/user_record.hpp"
#include "eventstore/event_store.hpp"
#include "runtime/async_event.hpp"
#include "runtime/task_group.hpp"

#include <atomic>
#include <map>
#include <mutex>

namespace immortal::esdb {

using boost::asio::awaitable;

// Thread-safe. What it is given outlives it.
class user_directory {
public:
    // `checks_of_source_max`: passwords of one source that are hashed, or wait for it, at once; a
    // quarter as many more of those that have matched before.
    user_directory(eventstore::event_store& store, accounts::password_hasher& hasher,
                   base::clock& clock, base::random_source& random,
                   runtime::any_io_executor executor, std::size_t checks_of_source_max = 64);

    // Reads the users and begins to follow their streams. A stream that is tombstoned, or whose
    // last event is no user, counts as empty: that user is nobody, and it is logged as an error.
    // With no user at all, or when such a loss took the last administrator, it makes `admin`
    // (`admin-2`, ... where that login cannot be used again) of "$admins" with a random password
    // and gives both; if the store takes no writes now, that is logged and the next start tries
    // again. Errors: those of the store's reads.
    [[nodiscard]] awaitable<base::result<std::optional<first_user>>> start();
    // Instead of start(), for a change while nobody else writes the store: reads the users, follows
    // nothing and makes nobody. Errors: those of the store's reads.
    [[nodiscard]] awaitable<base::status> load();
    [[nodiscard]] awaitable<void> stop();

    // Errors: unauthenticated (unknown, disabled or wrong password: not said which), rate_limited
    // (too many failures for this login from this `source`, so that a stranger elsewhere locks
    // nobody out; or too many hashes at once; `retry_after_ms`).
    [[nodiscard]] awaitable<base::result<principal>> authenticate(credentials given,
                                                                  std::string source);

    // Changes. Errors: invalid_argument (also: the stream of a new login is tombstoned), not_found,
    // already_exists, conflict (someone else changed the user meanwhile), rate_limited, and those
    // of the store.
    [[nodiscard]] awaitable<base::status> create(user_record user, std::string password);
    // An empty `password` leaves it as it is.
    [[nodiscard]] awaitable<base::status> update(std::string login, std::string full_name,
                                                 std::vector<std::string> groups,
                                                 std::string password);
    [[nodiscard]] awaitable<base::status> set_disabled(std::string login, bool disabled);
    [[nodiscard]] awaitable<base::status> remove(std::string login);
    // Also, as authenticate(): when `current` is wrong.
    [[nodiscard]] awaitable<base::status> change_password(std::string login, std::string current,
                                                          std::string password, std::string source);
    // `enabled`: also lets a disabled user in again, with the same write.
    enum class access : std::uint8_t { as_it_is, enabled };
    [[nodiscard]] awaitable<base::status> reset_password(std::string login, std::string password,
                                                         access wanted = access::as_it_is);

    [[nodiscard]] std::optional<user_record> find(const std::string& login) const;
    [[nodiscard]] std::vector<user_record> all() const; // by login name

private:
    struct entry {
        user_record user;
        base::revision revision;
        base::position position; // of what was read or written last
        // The last password that matched, as a keyed hash, so that not every call costs an argon2.
        base::digest256 known_password{};
        base::steady_time known_until{};
    };

    // A check under way of the password that matched last.
    struct repeated_check {
        base::revision revision; // of the user
        runtime::async_event ended;
        base::result<bool> outcome; // under mutex_; of a check that was given up: an error
    };

    // Where a user's stream stands, for the next write to it.
    struct stream_end {
        eventlog::expected_revision next = eventlog::expected_revision::no_stream();
        bool tombstoned = false;
    };

    awaitable<base::result<std::vector<std::string>>> listed_logins();
    awaitable<base::result<std::vector<std::string>>> stored_logins();
    // Reads the last event of a user's stream: afterwards the user is known, or not.
    awaitable<base::result<stream_end>> load_user(std::string login);
    awaitable<std::optional<first_user>> make_administrator();
    awaitable<void> follow(std::optional<base::position> from);
    awaitable<void> take_change(eventlog::recorded_event event);
    // False: the event holds no user, and there is none of that stream now.
    bool take(const eventlog::recorded_event& event);
    void forget(const std::string& login,
                base::position position); // unless something newer is known
    [[nodiscard]] bool needs_administrator() const;
    [[nodiscard]] std::optional<entry> entry_of(const std::string& login) const;
    // Whether the password, which matched `known` before, still does: one hash for all who ask at
    // once. Errors: rate_limited.
    awaitable<base::result<bool>> check_again(entry known, std::string password,
                                              std::string source);
    // Errors: rate_limited.
    awaitable<base::result<bool>> check(source_shares& shares, std::string hash,
                                        std::string password, std::string source);
    awaitable<base::status> write(std::string_view type, user_record user,
                                  eventlog::expected_revision expected, bool listed);
    // Checks and hashes. `user` outlives the call.
    awaitable<base::status> put_password(user_record& user, std::string password);

    eventstore::event_store& store_;
    accounts::password_hasher& hasher_;
    base::clock& clock_;
    base::random_source& random_;
    runtime::task_group tasks_;
    accounts::failure_guard failures_;
    // Of the hasher's line: one source leaves room for others.
    source_shares guesses_;
    source_shares proven_checks_; // of passwords that have matched before
    std::string cache_key_;
    std::atomic<bool> damaged_ = false;  // a user was lost, or the list of them
    std::atomic<bool> unlisted_ = false; // `$users` is tombstoned: it takes no more names
    mutable std::mutex mutex_;
    std::map<std::string, entry> users_;
    std::map<std::string, std::shared_ptr<repeated_check>> repeated_checks_; // by login
    std::shared_ptr<eventstore::subscription> following_;
};

} // namespace immortal::esdb
