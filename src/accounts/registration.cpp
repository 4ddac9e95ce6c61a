#include "accounts/input_rules.hpp"
#include "accounts/service_state.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"

namespace immortal::accounts {

using base::errc;
using base::fail;
using postgres::arguments;

namespace {

struct request {
    std::string username;
    std::string email;
    std::string password;
    std::string source;
    std::string key;
    std::string scope; // of the key
    std::string hash;  // without the password: see sql/0001_accounts.sql
};

request make_request(std::string username, std::string email, std::string password,
                     std::string source, std::string key) {
    request out;
    out.username = std::move(username);
    out.email = std::move(email);
    out.password = std::move(password);
    out.source = std::move(source);
    out.key = std::move(key);
    out.scope = "register:" + lower(out.username);
    out.hash = base::hex(base::blake2b("register\n" + out.username + "\n" + out.email));
    return out;
}

base::error taken(const std::string& constraint) {
    if (constraint == "users_email_key") {
        return {errc::already_exists, "this e-mail address has an account already", "email_taken",
                "email"};
    }
    return {errc::already_exists, "this user name is taken", "username_taken", "username"};
}

base::status check(const request& asked) {
    if (auto ok = check_key(asked.key); !ok) {
        return ok;
    }
    if (auto ok = check_username(asked.username); !ok) {
        return ok;
    }
    if (auto ok = check_email(asked.email); !ok) {
        return ok;
    }
    return check_password(asked.password, asked.username, asked.email, "password");
}

// The first answer to the key, given again to whoever knows the password that came with it.
awaitable<base::result<registration>> repeat(shared_state self, const request& asked,
                                             base::json::value response) {
    if (const auto wait = self->logins.admit(asked.source, self->with.clock.steady_now())) {
        co_return fail(too_often(*wait, "too many tries from this address"));
    }
    const base::json::value* text =
        response.is_object() ? response.as_object().if_contains("userId") : nullptr;
    const auto id = text != nullptr ? base::decode<base::uuid>(*text)
                                    : base::result<base::uuid>(fail(errc::internal, "no userId"));
    if (!id) {
        co_return fail(id.error());
    }
    const auto row = co_await self->with.database.run(
        postgres::reading("SELECT password_hash FROM users WHERE id = $1", arguments().add(*id)));
    if (!row) {
        co_return fail(row.error());
    }
    const auto same = co_await self->hasher.matches(
        row->empty() ? std::string() : row->get<std::string>(0, 0), asked.password);
    if (!same) {
        co_return fail(same.error());
    }
    if (!*same) {
        co_return fail(errc::mismatch, "this idempotency key was used for another request", {},
                       "Idempotency-Key");
    }
    co_return registration{*id, true};
}

// Cheaper than a hash; the unique indexes have the last word.
awaitable<base::status> check_free(shared_state self, const request& asked) {
    const auto got = co_await self->with.database.run(
        postgres::reading("SELECT lower(username) = lower($1) FROM users"
                          " WHERE lower(username) = lower($1) OR lower(email) = lower($2)"
                          " ORDER BY 1 DESC LIMIT 1",
                          arguments().add(asked.username).add(asked.email)));
    if (!got) {
        co_return fail(got.error());
    }
    if (!got->empty()) {
        co_return fail(taken(got->get<bool>(0, 0) ? "users_username_key" : "users_email_key"));
    }
    co_return base::status{};
}

awaitable<base::result<registration>> insert(shared_state self, const request& asked,
                                             std::string password_hash) {
    const auto id = base::uuid::make_random(self->with.random);
    std::vector<postgres::query> list;
    list.push_back({"INSERT INTO users (id, username, email, password_hash, created_at, updated_at)"
                    " VALUES ($1, $2, $3, $4, $5, $5)",
                    arguments()
                        .add(id)
                        .add(asked.username)
                        .add(asked.email)
                        .add(password_hash)
                        .add(self->with.clock.now())});
    if (!asked.key.empty()) {
        list.push_back(keep_request(*self, asked.scope, asked.key, asked.hash,
                                    base::json::object{{"userId", id.text()}}));
    }
    const auto done = co_await self->with.database.run_all(std::move(list));
    if (!done) {
        co_return fail(done.error().code == errc::already_exists ? taken(done.error().reason)
                                                                 : done.error());
    }
    co_return registration{id};
}

} // namespace

awaitable<base::result<registration>> run_registration(shared_state self, std::string username,
                                                       std::string email, std::string password,
                                                       std::string source, std::string key) {
    const request asked = make_request(std::move(username), std::move(email), std::move(password),
                                       std::move(source), std::move(key));
    if (auto ok = check(asked); !ok) {
        co_return fail(ok.error());
    }
    auto before = co_await find_request(self, asked.scope, asked.key, asked.hash);
    if (!before) {
        co_return fail(before.error());
    }
    if (*before) {
        co_return co_await repeat(self, asked, std::move(**before));
    }
    if (const auto wait = self->registrations.admit(asked.source, self->with.clock.steady_now())) {
        co_return fail(too_often(*wait, "too many accounts were made from this address"));
    }
    if (auto ok = co_await check_free(self, asked); !ok) {
        co_return fail(ok.error());
    }
    auto hash = co_await self->hasher.hash(asked.password);
    if (!hash) {
        co_return fail(hash.error());
    }
    auto made = co_await insert(self, asked, std::move(*hash));
    if (!made && made.error().code == errc::already_exists && !asked.key.empty()) {
        // The same request may have come twice at once.
        before = co_await find_request(self, asked.scope, asked.key, asked.hash);
        if (before && *before) {
            co_return co_await repeat(self, asked, std::move(**before));
        }
    }
    if (made) {
        co_await self->audit.record("UserRegistered", made->user_id);
    }
    co_return made;
}

} // namespace immortal::accounts
