#include "accounts/input_rules.hpp"
#include "accounts/service_state.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"

namespace immortal::accounts {

using base::errc;
using base::fail;
using postgres::arguments;

namespace {

std::unexpected<base::error> gone() {
    return fail(errc::unauthenticated, "this account no longer exists");
}

struct account_row {
    std::string email;
    std::string password_hash;
};

awaitable<base::result<account_row>> read_account(shared_state self, base::uuid id) {
    const auto got = co_await self->with.database.run(postgres::reading(
        "SELECT email, password_hash FROM users WHERE id = $1 AND is_active", arguments().add(id)));
    if (!got) {
        co_return fail(got.error());
    }
    if (got->empty()) {
        co_return gone();
    }
    co_return account_row{got->get<std::string>(0, 0), got->get<std::string>(0, 1)};
}

// The new hash, in the place of the old one; the session that asks takes over the new epoch.
std::vector<postgres::query> password_statements(const service_state& self, const principal& who,
                                                 const std::string& from, const std::string& to) {
    std::vector<postgres::query> list;
    list.push_back(
        {"WITH changed AS (UPDATE users SET password_hash = $3, session_epoch = session_epoch + 1,"
         "   updated_at = $4 WHERE id = $1 AND password_hash = $2 AND is_active"
         "   RETURNING id, session_epoch),"
         " kept AS (UPDATE sessions s SET epoch = c.session_epoch FROM changed c"
         "   WHERE s.user_id = c.id AND s.id = $5),"
         " ended AS (DELETE FROM sessions s USING changed c WHERE s.user_id = c.id AND s.id <> $5)"
         " SELECT id FROM changed",
         arguments()
             .add(who.user_id)
             .add(from)
             .add(to)
             .add(self.with.clock.now())
             .add(who.session_id)});
    list.push_back(sessions::announcement(who.user_id));
    return list;
}

struct password_request {
    std::string scope;
    std::string key;
    std::string hash;
};

awaitable<base::status> replace_password(shared_state self, principal who, account_row row,
                                         std::string wanted, password_request asked) {
    auto hash = co_await self->hasher.hash(std::move(wanted));
    if (!hash) {
        co_return fail(hash.error());
    }
    auto block = co_await self->with.database.begin();
    if (!block) {
        co_return fail(block.error());
    }
    const auto done =
        co_await (*block)->run_all(password_statements(*self, who, row.password_hash, *hash));
    if (!done) {
        co_return fail(done.error());
    }
    if (done->front().empty()) {
        co_return fail(errc::unavailable, "the password was changed by someone else just now; "
                                          "try again");
    }
    if (!asked.key.empty()) {
        const auto kept = co_await (*block)->run(
            keep_request(*self, asked.scope, asked.key, asked.hash, base::json::object{}));
        if (!kept) {
            co_return fail(kept.error().code == errc::already_exists
                               ? base::error{errc::unavailable, "the same request is under way; "
                                                                "try again"}
                               : kept.error());
        }
    }
    const auto committed = co_await (*block)->commit();
    co_await self->open_sessions.revoked(who.user_id);
    co_return committed;
}

} // namespace

awaitable<base::status> run_password_change(shared_state self, principal who, std::string current,
                                            std::string wanted, std::string source,
                                            std::string key) {
    if (auto ok = check_key(key); !ok) {
        co_return ok;
    }
    const std::string account = who.user_id.text();
    const password_request asked{"user:" + account, std::move(key),
                                 base::hex(base::blake2b("password"))};
    const auto before = co_await find_request(self, asked.scope, asked.key, asked.hash);
    if (!before) {
        co_return fail(before.error());
    }
    const auto row = co_await read_account(self, who.user_id);
    if (!row) {
        co_return fail(row.error());
    }
    if (auto ok = check_password(wanted, who.username, row->email, "newPassword"); !ok) {
        co_return ok;
    }
    if (const auto refused = check_guesses(*self, account, source)) {
        co_return fail(*refused);
    }
    // A repeated request has changed the password already: it is right if it wants what is.
    const auto right =
        co_await self->hasher.matches(row->password_hash, *before ? wanted : std::move(current));
    if (!right) {
        co_return fail(right.error());
    }
    note_guess(*self, account, source, *right);
    if (*before) {
        co_return *right ? base::status{}
                         : fail(errc::mismatch, "this idempotency key was used for another request",
                                {}, "Idempotency-Key");
    }
    if (!*right) {
        co_await self->audit.record("PasswordChangeFailed", who.user_id);
        co_return fail(errc::forbidden, "the current password is wrong", "wrong_password",
                       "currentPassword");
    }
    auto done = co_await replace_password(self, who, *row, std::move(wanted), asked);
    if (done) {
        co_await self->audit.record("PasswordChanged", who.user_id);
    }
    co_return done;
}

awaitable<base::result<profile>> run_me(shared_state self, principal who) {
    const auto now = self->with.clock.now();
    const auto got = co_await self->with.database.run(postgres::reading(
        "SELECT u.username, u.email, u.role, u.created_at, u.last_login_at,"
        " (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.epoch = u.session_epoch"
        "   AND s.expires_at > $2 AND s.last_seen_at > $3)"
        " FROM users u WHERE u.id = $1 AND u.is_active",
        arguments().add(who.user_id).add(now).add(now - self->open_sessions.idle_limit(who.rank))));
    if (!got) {
        co_return fail(got.error());
    }
    if (got->empty()) {
        co_return gone();
    }
    co_return profile{who.user_id,
                      got->get<std::string>(0, 0),
                      got->get<std::string>(0, 1),
                      role_of(got->text(0, 2)),
                      got->get<base::utc_time>(0, 3),
                      got->get<std::optional<base::utc_time>>(0, 4),
                      static_cast<std::size_t>(got->get<std::int64_t>(0, 5))};
}

awaitable<base::status> run_role_change(shared_state self, std::string username, role rank) {
    auto block = co_await self->with.database.begin();
    if (!block) {
        co_return fail(block.error());
    }
    const auto changed = co_await (*block)->run(
        {"UPDATE users SET role = $2, session_epoch = session_epoch + 1, updated_at = $3"
         " WHERE lower(username) = lower($1) AND is_active RETURNING id",
         arguments().add(username).add(name_of(rank)).add(self->with.clock.now())});
    if (!changed) {
        co_return fail(changed.error());
    }
    if (changed->empty()) {
        co_return fail(errc::not_found, "there is no user of this name", {}, "username");
    }
    const auto id = changed->get<base::uuid>(0, 0);
    std::vector<postgres::query> list;
    list.push_back({"DELETE FROM sessions WHERE user_id = $1", arguments().add(id)});
    list.push_back(sessions::announcement(id));
    const auto ended = co_await (*block)->run_all(std::move(list));
    if (!ended) {
        co_return fail(ended.error());
    }
    const auto committed = co_await (*block)->commit();
    co_await self->open_sessions.revoked(id);
    if (committed) {
        co_await self->audit.record("RoleChanged", id, {{"role", std::string(name_of(rank))}});
    }
    co_return committed;
}

} // namespace immortal::accounts
