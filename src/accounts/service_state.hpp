// Inside the module: what the service's calls share.
#pragma once

#include "accounts/audit_trail.hpp"
#include "accounts/failure_guard.hpp"
#include "accounts/password_hasher.hpp"
#include "accounts/rate_limiter.hpp"
#include "accounts/service.hpp"
#include "accounts/sessions.hpp"
#include "runtime/task_group.hpp"

namespace immortal::accounts {

struct service_state {
    service_state(parts with_parts, settings with_options);

    const parts with;
    const settings options;
    password_hasher hasher;
    sessions open_sessions;
    audit_trail audit;
    rate_limiter logins;           // by source
    rate_limiter registrations;    // by source
    failure_guard guesses;         // by account and source
    failure_guard account_guesses; // by account, from sources it is not known from
    std::mutex familiar_mutex;
    recent_table<std::string, bool> familiar; // (account, source) pairs that logged in
    base::counter failed_logins;
    std::unique_ptr<postgres::listener> revocations;
    runtime::task_group tasks;
};

using shared_state = std::shared_ptr<service_state>;

// The calls of `service`, one file each.
awaitable<base::result<registration>> run_registration(shared_state self, std::string username,
                                                       std::string email, std::string password,
                                                       std::string source, std::string key);
awaitable<base::result<opened_session>> run_log_in(shared_state self, std::string name,
                                                   std::string password, std::string source);
awaitable<base::status> run_password_change(shared_state self, principal who, std::string current,
                                            std::string wanted, std::string source,
                                            std::string key);
awaitable<base::result<profile>> run_me(shared_state self, principal who);
awaitable<base::status> run_erasure(shared_state self, principal who);
awaitable<base::result<std::vector<pending_erasure>>> run_pending_erasures(shared_state self,
                                                                           base::uuid after);
awaitable<base::status> run_erasure_end(shared_state self, base::uuid user);
awaitable<base::status> run_role_change(shared_state self, std::string username, role rank);

// Guessing a password: how long the account's owner, from this source, has to wait; and what came
// of the try. `account` is any stable name of it.
[[nodiscard]] std::optional<base::error>
check_guesses(service_state& self, const std::string& account, const std::string& source);
void note_guess(service_state& self, const std::string& account, const std::string& source,
                bool right);

// Over a limit: errc::rate_limited with the time to wait.
[[nodiscard]] base::error too_often(milliseconds wait, std::string_view what);

// What an idempotency key was used for; empty: not yet. Errors: mismatch (with another request).
awaitable<base::result<std::optional<base::json::value>>>
find_request(shared_state self, std::string scope, std::string key, std::string request_hash);
// To stand in the transaction that does it; fails with already_exists if the key is taken.
[[nodiscard]] postgres::query keep_request(const service_state& self, const std::string& scope,
                                           const std::string& key, const std::string& request_hash,
                                           const base::json::value& response);
[[nodiscard]] base::status check_key(const std::string& key);

} // namespace immortal::accounts
