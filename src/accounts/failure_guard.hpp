// Slows down guessing: after some failures in a row each further one doubles the wait. Thread-safe.
#pragma once

#include "accounts/recent_table.hpp"
#include "base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace immortal::accounts {

using std::chrono::milliseconds;

class failure_guard {
public:
    // `free` failures within `window` cost nothing; the next ones 1 s, 2 s, ... up to 15 min. A
    // quiet window, or a success, forgets them. 0: never a wait.
    failure_guard(std::uint32_t free, milliseconds window, std::size_t keys_max);

    // How long to wait before the next try; empty: none.
    [[nodiscard]] std::optional<milliseconds> wait(const std::string& key, base::steady_time now);
    void failed(const std::string& key, base::steady_time now);
    void succeeded(const std::string& key);

private:
    struct record {
        std::uint32_t failures = 0;
        base::steady_time first{};
        base::steady_time blocked_until{};
    };

    const std::uint32_t free_;
    const milliseconds window_;
    std::mutex mutex_;
    recent_table<std::string, record> records_;
};

} // namespace immortal::accounts
