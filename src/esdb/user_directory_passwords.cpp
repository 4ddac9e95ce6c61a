// Whose password it is: what user_directory hashes, and for whom.
#include "esdb/user_directory.hpp"

#include <sodium.h>

#include <memory>

namespace immortal::esdb {
namespace {

using base::errc;
using base::fail;

constexpr std::chrono::seconds password_known_for{60};
constexpr std::chrono::seconds check_limit{30}; // of a password, by somebody else

base::error wrong_credentials() {
    return {errc::unauthenticated, "unknown user, or the password is wrong"};
}

} // namespace

awaitable<base::result<principal>> user_directory::authenticate(credentials given,
                                                                std::string source) {
    const auto known = entry_of(given.login);
    const auto proof = base::blake2b(given.password, cache_key_);
    const auto now = clock_.steady_now();
    const std::string guesser = given.login + '\n' + source;
    const bool proven =
        known && !known->user.disabled && known->known_until != base::steady_time{} &&
        sodium_memcmp(proof.data(), known->known_password.data(), proof.size()) == 0;
    if (proven && now < known->known_until) {
        co_return known->user.as_principal();
    }
    if (const auto wait = failures_.wait(guesser, now)) {
        co_return fail({errc::rate_limited, "too many wrong passwords: try again later", "guessing",
                        "", static_cast<std::uint32_t>(wait->count())});
    }
    // A password that has matched before is no guess, whoever guesses behind the same address. The
    // same work for a user who does not exist.
    const auto same = proven
                          ? co_await check_again(*known, std::move(given.password), source)
                          : co_await check(guesses_, known ? known->user.hash : hasher_.nobodys(),
                                           std::move(given.password), source);
    if (!same) {
        co_return fail(same.error());
    }
    if (!*same || !known || known->user.disabled) {
        failures_.failed(guesser, clock_.steady_now());
        co_return fail(wrong_credentials());
    }
    failures_.succeeded(guesser);
    const std::lock_guard lock(mutex_);
    const auto entry = users_.find(given.login);
    // Changed while the hash was made: this password may be the old one.
    if (entry == users_.end() || entry->second.revision != known->revision) {
        co_return fail(wrong_credentials());
    }
    entry->second.known_password = proof;
    entry->second.known_until = clock_.steady_now() + password_known_for;
    co_return entry->second.user.as_principal();
}

awaitable<base::result<bool>> user_directory::check(source_shares& shares, std::string hash,
                                                    std::string password, std::string source) {
    const source_shares::holder share(shares, std::move(source));
    if (!share.is_admitted()) {
        co_return fail({errc::rate_limited, "too many passwords of one address are being checked"});
    }
    co_return co_await hasher_.matches(std::move(hash), std::move(password));
}

awaitable<base::result<bool>> user_directory::check_again(entry known, std::string password,
                                                          std::string source) {
    const std::string login = known.user.login_name;
    std::shared_ptr<repeated_check> shared;
    bool leads = false;
    {
        const std::lock_guard lock(mutex_);
        std::shared_ptr<repeated_check>& present = repeated_checks_[login];
        leads = !present || present->revision != known.revision;
        if (leads) {
            present = std::make_shared<repeated_check>();
            present->revision = known.revision;
            present->outcome = fail({errc::rate_limited, "the password is being checked"});
        }
        shared = present;
    }
    if (!leads) {
        (void)co_await shared->ended.wait(0, check_limit);
        const std::lock_guard lock(mutex_);
        co_return shared->outcome;
    }
    const auto end = [&](void*) { // also of a call that is cancelled
        const std::lock_guard lock(mutex_);
        const auto present = repeated_checks_.find(login);
        if (present != repeated_checks_.end() && present->second == shared) {
            repeated_checks_.erase(present);
        }
        shared->ended.notify_all();
    };
    const std::unique_ptr<void, decltype(end)> ending(shared.get(), end);
    auto outcome =
        co_await check(proven_checks_, known.user.hash, std::move(password), std::move(source));
    {
        const std::lock_guard lock(mutex_);
        shared->outcome = outcome;
    }
    co_return outcome;
}

} // namespace immortal::esdb
