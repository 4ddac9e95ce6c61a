#include "accounts/input_rules.hpp"
#include "accounts/service_state.hpp"
#include "base/log.hpp"

namespace immortal::accounts {

using base::errc;
using base::fail;
using postgres::arguments;

namespace {

constexpr std::size_t password_bytes_max = 512; // 128 characters
constexpr std::size_t name_bytes_max = 255;

struct candidate {
    owner who;
    std::string password_hash;
};

postgres::query by_name(const std::string& name) {
    if (name.find('@') != std::string::npos) {
        return postgres::reading(
            "SELECT id, username, role, session_epoch, password_hash FROM users"
            " WHERE lower(email) = lower($1) AND is_active",
            arguments().add(name));
    }
    return postgres::reading("SELECT id, username, role, session_epoch, password_hash FROM users"
                             " WHERE lower(username) = lower($1) AND is_active",
                             arguments().add(name));
}

awaitable<base::result<std::optional<candidate>>> find(shared_state self, std::string name) {
    if (name.size() > name_bytes_max || !is_storable(name)) {
        co_return std::optional<candidate>{};
    }
    const auto got = co_await self->with.database.run(by_name(name));
    if (!got) {
        co_return fail(got.error());
    }
    if (got->empty()) {
        co_return std::optional<candidate>{};
    }
    co_return candidate{{got->get<base::uuid>(0, 0), got->get<std::string>(0, 1),
                         role_of(got->text(0, 2)), got->get<std::int32_t>(0, 3)},
                        got->get<std::string>(0, 4)};
}

// The parameters have changed since the hash was made. What fails is tried at the next log-in.
awaitable<void> renew_hash(shared_state self, const candidate& user, std::string password) {
    auto hash = co_await self->hasher.hash(std::move(password));
    if (hash) {
        (void)co_await self->with.database.run(
            {"UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = $3",
             arguments().add(user.who.id).add(*hash).add(user.password_hash)});
    }
}

} // namespace

awaitable<base::result<opened_session>> run_log_in(shared_state self, std::string name,
                                                   std::string password, std::string source) {
    if (const auto wait = self->logins.admit(source, self->with.clock.steady_now())) {
        co_return fail(too_often(*wait, "too many log-ins from this address"));
    }
    if (password.size() > password_bytes_max) {
        co_return fail(errc::invalid_argument, "the password is too long", {}, "password");
    }
    auto user = co_await find(self, name);
    if (!user) {
        co_return fail(user.error());
    }
    // One account is one account, by name or by e-mail.
    const std::string account = *user ? (*user)->who.id.text() : lower(name).substr(0, 255);
    if (const auto refused = check_guesses(*self, account, source)) {
        co_return fail(*refused);
    }
    const auto right = co_await self->hasher.matches(
        *user ? (*user)->password_hash : self->hasher.nobodys(), password);
    if (!right) {
        co_return fail(right.error());
    }
    note_guess(*self, account, source, *right && *user);
    const auto id = *user ? std::optional((*user)->who.id) : std::nullopt;
    if (!*right || !*user) {
        base::log_info("accounts", "log-in failed", {{"source", source}});
        co_await self->audit.record("UserLogInFailed", id);
        co_return fail(errc::unauthenticated, "the user name or the password is wrong",
                       "wrong_credentials");
    }
    if (self->hasher.outdated((*user)->password_hash)) {
        co_await renew_hash(self, **user, std::move(password));
    }
    auto opened = co_await self->open_sessions.open((*user)->who);
    if (opened) {
        co_await self->audit.record("UserLoggedIn", id, {{"sessionId", opened->session_id.text()}});
    }
    co_return opened;
}

} // namespace immortal::accounts
