#include "accounts/failure_guard.hpp"

#include <algorithm>

namespace immortal::accounts {

namespace {

constexpr milliseconds wait_max = std::chrono::minutes(15);

} // namespace

failure_guard::failure_guard(std::uint32_t free, milliseconds window, std::size_t keys_max)
    : free_(free), window_(window), records_(keys_max) {}

std::optional<milliseconds> failure_guard::wait(const std::string& key, base::steady_time now) {
    const std::scoped_lock lock(mutex_);
    const record* known = records_.find(key);
    if (known == nullptr || now >= known->blocked_until) {
        return std::nullopt;
    }
    return std::chrono::ceil<milliseconds>(known->blocked_until - now);
}

void failure_guard::failed(const std::string& key, base::steady_time now) {
    if (free_ == 0) {
        return;
    }
    const std::scoped_lock lock(mutex_);
    record& known = records_[key];
    if (known.failures == 0 || now - std::max(known.first, known.blocked_until) >= window_) {
        known = {0, now, {}};
    }
    ++known.failures;
    if (known.failures >= free_) {
        const auto doublings = std::min<std::uint32_t>(known.failures - free_, 20);
        known.blocked_until = now + std::min(wait_max, milliseconds(1000) * (1u << doublings));
    }
}

void failure_guard::succeeded(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    records_.erase(key);
}

} // namespace immortal::accounts
