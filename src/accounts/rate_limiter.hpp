// How often something may be done, by key (a source address, an account): the generic cell rate
// algorithm over a bounded table. Thread-safe.
#pragma once

#include "accounts/recent_table.hpp"
#include "base/clock.hpp"

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

namespace immortal::accounts {

using std::chrono::milliseconds;

class rate_limiter {
public:
    // `count` in every `period`, all at once if nothing was done before; 0: no limit.
    rate_limiter(double count, milliseconds period, std::size_t keys_max);

    // Empty: it may be done, and counts. Else how long to wait; nothing is counted.
    [[nodiscard]] std::optional<milliseconds> admit(const std::string& key, base::steady_time now);

private:
    using nanoseconds = std::chrono::nanoseconds;
    const bool limited_;
    const nanoseconds interval_;  // between two, when evenly spread
    const nanoseconds tolerance_; // how much earlier than that one may come
    std::mutex mutex_;
    recent_table<std::string, base::steady_time> arrivals_; // when the next one would be even
};

} // namespace immortal::accounts
