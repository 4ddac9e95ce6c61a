#include "accounts/password_hasher.hpp"

#include "base/assert.hpp"

#include <sodium.h>

#include <array>
#include <new>

namespace immortal::accounts {

using base::errc;
using base::fail;

namespace {

constexpr std::uint32_t retry_ms = 1000;

std::string make_hash(std::uint64_t memory, std::uint64_t passes, const std::string& password) {
    std::array<char, crypto_pwhash_STRBYTES> text{};
    if (crypto_pwhash_str_alg(text.data(), password.data(), password.size(), passes, memory,
                              crypto_pwhash_ALG_ARGON2ID13) != 0) {
        throw std::bad_alloc();
    }
    return text.data();
}

template <typename T>
base::result<T> busy_is_rate_limited(base::result<T> from) {
    if (!from && (from.error().code == errc::exhausted || from.error().code == errc::timeout)) {
        return fail({errc::rate_limited, "too many people are logging in; try again in a moment",
                     "busy", "", retry_ms});
    }
    return from;
}

} // namespace

password_hasher::password_hasher(settings options)
    : options_(options), pool_({options.at_once, options.queue_max}) {
    const int ready = sodium_init();
    IMMORTAL_ASSERT(ready >= 0);
    std::array<char, 32> nobody_knows{};
    randombytes_buf(nobody_knows.data(), nobody_knows.size());
    nobodys_ = make_hash(options_.memory_bytes, options_.passes,
                         std::string(nobody_knows.data(), nobody_knows.size()));
}

awaitable<base::result<std::string>> password_hasher::hash(std::string password) {
    auto work = [memory = options_.memory_bytes, passes = options_.passes,
                 text = std::move(password)] { return make_hash(memory, passes, text); };
    co_return busy_is_rate_limited(co_await pool_.run(std::move(work)));
}

awaitable<base::result<bool>> password_hasher::matches(std::string stored, std::string password) {
    const bool is_hash = stored.starts_with("$argon2");
    auto work = [is_hash, known = is_hash ? std::move(stored) : nobodys_,
                 text = std::move(password)] {
        const int same = crypto_pwhash_str_verify(known.c_str(), text.data(), text.size());
        return is_hash && same == 0;
    };
    co_return busy_is_rate_limited(co_await pool_.run(std::move(work)));
}

bool password_hasher::outdated(const std::string& stored) const {
    return crypto_pwhash_str_needs_rehash(stored.c_str(), options_.passes, options_.memory_bytes) !=
           0;
}

void password_hasher::stop() {
    pool_.stop();
}

} // namespace immortal::accounts
