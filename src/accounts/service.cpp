#include "accounts/service.hpp"

#include "accounts/service_state.hpp"
#include "base/log.hpp"
#include "runtime/deadline.hpp"

namespace immortal::accounts {

namespace {

constexpr auto housekeeping_interval = std::chrono::hours(1);
constexpr auto requests_kept = std::chrono::hours(24 * 7); // how long a key is remembered
constexpr milliseconds stop_limit{5000};

awaitable<void> hear_revocations(shared_state self) {
    for (;;) {
        const auto got = co_await self->revocations->next();
        if (!got) {
            co_return; // cancelled
        }
        const auto user = *got ? base::uuid::parse(**got) : std::nullopt;
        self->open_sessions.heard(user); // not a user's id, or a gap: anyone's
    }
}

awaitable<void> keep_house(shared_state self) {
    while (co_await runtime::wait_for(housekeeping_interval)) {
        const auto expired = co_await self->open_sessions.remove_expired();
        const auto old = co_await self->with.database.run(
            {"DELETE FROM account_requests WHERE created_at < $1",
             postgres::arguments().add(self->with.clock.now() - requests_kept)});
        if (!expired || !old) {
            base::log_warning("accounts", "expired rows stay until the next hour");
        }
    }
}

awaitable<base::status> run_log_out(shared_state self, principal who) {
    auto done = co_await self->open_sessions.close(who);
    if (done) {
        co_await self->audit.record("UserLoggedOut", who.user_id,
                                    {{"sessionId", who.session_id.text()}});
    }
    co_return done;
}

awaitable<base::result<principal>> run_authentication(shared_state self, std::string token) {
    co_return co_await self->open_sessions.authenticate(std::move(token));
}

awaitable<void> run_stop(shared_state self) {
    if (self->revocations) {
        self->revocations->cancel();
    }
    if (!co_await self->tasks.stop(stop_limit)) {
        base::log_error("accounts", "background work did not end in time");
    }
}

} // namespace

service_state::service_state(parts with_parts, settings with_options)
    : with(std::move(with_parts)), options(with_options),
      hasher({options.hash_memory_bytes, options.hash_passes, options.hashes_at_once,
              options.hash_queue_max}),
      open_sessions(with, options), audit(with.store, with.clock, with.random, with.metrics),
      logins(options.logins_per_minute, std::chrono::minutes(1), options.sources_max),
      registrations(options.registrations_per_hour, std::chrono::hours(1), options.sources_max),
      guesses(options.failures_free, std::chrono::minutes(15), options.sources_max),
      account_guesses(options.account_failures_free, std::chrono::hours(24), options.sources_max),
      familiar(options.sources_max),
      failed_logins(with.metrics.make_counter("immortal_accounts_failed_logins_total",
                                              "Wrong names or passwords")),
      tasks(with.executor, "accounts") {}

service::service(parts with, settings options)
    : state_(std::make_shared<service_state>(std::move(with), options)) {}

service::~service() = default;

void service::start() {
    state_->revocations =
        postgres::make_listener(state_->with.executor, state_->with.listening, "sessions");
    state_->tasks.spawn(hear_revocations(state_), "revocations");
    state_->tasks.spawn(keep_house(state_), "housekeeping");
}

awaitable<void> service::stop() {
    return run_stop(state_);
}

awaitable<base::result<registration>>
service::register_user(std::string username, std::string email, std::string password,
                       std::string source, std::string idempotency_key) {
    return run_registration(state_, std::move(username), std::move(email), std::move(password),
                            std::move(source), std::move(idempotency_key));
}

awaitable<base::result<opened_session>> service::log_in(std::string name, std::string password,
                                                        std::string source) {
    return run_log_in(state_, std::move(name), std::move(password), std::move(source));
}

awaitable<base::result<principal>> service::authenticate(std::string token) {
    return run_authentication(state_, std::move(token));
}

awaitable<base::status> service::log_out(principal who) {
    return run_log_out(state_, std::move(who));
}

awaitable<base::status> service::change_password(principal who, std::string current_password,
                                                 std::string new_password, std::string source,
                                                 std::string idempotency_key) {
    return run_password_change(state_, std::move(who), std::move(current_password),
                               std::move(new_password), std::move(source),
                               std::move(idempotency_key));
}

awaitable<base::result<profile>> service::me(principal who) {
    return run_me(state_, std::move(who));
}

awaitable<base::status> service::erase(principal who) {
    return run_erasure(state_, std::move(who));
}

awaitable<base::result<std::vector<pending_erasure>>> service::pending_erasures(base::uuid after) {
    return run_pending_erasures(state_, after);
}

awaitable<base::status> service::finish_erasure(base::uuid user) {
    return run_erasure_end(state_, user);
}

awaitable<base::status> service::set_role(std::string username, role rank) {
    return run_role_change(state_, std::move(username), rank);
}

} // namespace immortal::accounts
