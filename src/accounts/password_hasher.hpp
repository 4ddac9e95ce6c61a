// Passwords to argon2id hashes and back, on threads of their own.
#pragma once

#include "base/result.hpp"
#include "runtime/blocking_pool.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <string>

namespace immortal::accounts {

using boost::asio::awaitable;

// Thread-safe. Errors of every call: rate_limited (too many wait), cancelled.
class password_hasher {
public:
    struct settings {
        std::uint64_t memory_bytes;
        std::uint64_t passes;
        unsigned at_once;
        std::size_t queue_max;
    };
    explicit password_hasher(settings options); // makes one hash

    // The PHC text: parameters, salt and hash.
    awaitable<base::result<std::string>> hash(std::string password);
    // `stored`: what hash() gave. Text that is no hash never matches, after the same time.
    awaitable<base::result<bool>> matches(std::string stored, std::string password);
    // A hash like any other that nobody knows a password of: for users who do not exist.
    [[nodiscard]] const std::string& nobodys() const { return nobodys_; }
    // `stored` was made with other parameters.
    [[nodiscard]] bool outdated(const std::string& stored) const;

    void stop(); // blocks until running hashes are done

private:
    const settings options_;
    std::string nobodys_;
    runtime::blocking_pool pool_;
};

} // namespace immortal::accounts
