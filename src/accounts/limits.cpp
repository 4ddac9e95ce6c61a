// How the service limits tries, and remembers idempotency keys.
#include "accounts/service_state.hpp"
#include "base/json.hpp"

#include <algorithm>

namespace immortal::accounts {

using base::errc;
using base::fail;

namespace {

constexpr std::size_t key_size_max = 255;

std::string pair_of(const std::string& account, const std::string& source) {
    return account + '\0' + source;
}

} // namespace

base::error too_often(milliseconds wait, std::string_view what) {
    base::error out{errc::rate_limited, std::string(what) + "; try again later", "too_often"};
    out.retry_after_ms =
        static_cast<std::uint32_t>(std::min<std::int64_t>(wait.count(), 86'400'000));
    return out;
}

std::optional<base::error> check_guesses(service_state& self, const std::string& account,
                                         const std::string& source) {
    const auto now = self.with.clock.steady_now();
    auto wait = self.guesses.wait(pair_of(account, source), now);
    bool known = false;
    {
        const std::scoped_lock lock(self.familiar_mutex);
        known = self.familiar.find(pair_of(account, source)) != nullptr;
    }
    if (!known) { // a stranger's guessing does not lock the owner out
        wait = std::max(wait, self.account_guesses.wait(account, now));
    }
    return wait ? std::optional(too_often(*wait, "too many wrong passwords")) : std::nullopt;
}

void note_guess(service_state& self, const std::string& account, const std::string& source,
                bool right) {
    const auto now = self.with.clock.steady_now();
    const std::string pair = pair_of(account, source);
    if (!right) {
        self.failed_logins.add();
        self.guesses.failed(pair, now);
        self.account_guesses.failed(account, now);
        return;
    }
    self.guesses.succeeded(pair);
    self.account_guesses.succeeded(account);
    const std::scoped_lock lock(self.familiar_mutex);
    self.familiar[pair] = true;
}

base::status check_key(const std::string& key) {
    if (key.size() > key_size_max ||
        !std::ranges::all_of(key, [](char c) { return c > ' ' && c <= '~'; })) {
        return fail(errc::invalid_argument,
                    "the idempotency key may have at most 255 visible ASCII characters", {},
                    "Idempotency-Key");
    }
    return {};
}

awaitable<base::result<std::optional<base::json::value>>>
find_request(shared_state self, std::string scope, std::string key, std::string request_hash) {
    if (key.empty()) {
        co_return std::optional<base::json::value>{};
    }
    const auto got = co_await self->with.database.run(postgres::reading(
        "SELECT request_hash, response FROM account_requests WHERE scope = $1 AND key = $2",
        postgres::arguments().add(scope).add(key)));
    if (!got) {
        co_return fail(got.error());
    }
    if (got->empty()) {
        co_return std::optional<base::json::value>{};
    }
    if (got->text(0, 0) != request_hash) {
        co_return fail(errc::mismatch, "this idempotency key was used for another request", {},
                       "Idempotency-Key");
    }
    auto response = base::parse_json(got->text(0, 1));
    if (!response) {
        co_return fail(response.error());
    }
    co_return std::optional<base::json::value>(std::move(*response));
}

postgres::query keep_request(const service_state& self, const std::string& scope,
                             const std::string& key, const std::string& request_hash,
                             const base::json::value& response) {
    return {"INSERT INTO account_requests (scope, key, request_hash, response, created_at)"
            " VALUES ($1, $2, $3, $4, $5)",
            postgres::arguments()
                .add(scope)
                .add(key)
                .add(request_hash)
                .add(base::json::serialize(response))
                .add(self.with.clock.now())};
}

} // namespace immortal::accounts
