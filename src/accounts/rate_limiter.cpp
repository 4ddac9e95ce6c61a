#include "accounts/rate_limiter.hpp"

#include <algorithm>

namespace immortal::accounts {

namespace {

std::chrono::nanoseconds share(milliseconds period, double count) {
    return std::chrono::nanoseconds(
        count > 0 ? static_cast<std::int64_t>(static_cast<double>(period.count()) * 1e6 / count)
                  : 0);
}

} // namespace

rate_limiter::rate_limiter(double count, milliseconds period, std::size_t keys_max)
    : limited_(count > 0), interval_(share(period, count)),
      tolerance_(std::max(nanoseconds(0), nanoseconds(period) - interval_)), arrivals_(keys_max) {}

std::optional<milliseconds> rate_limiter::admit(const std::string& key, base::steady_time now) {
    if (!limited_) {
        return std::nullopt;
    }
    const std::scoped_lock lock(mutex_);
    auto& even = arrivals_[key];
    const auto expected = std::max(even, now);
    if (expected - now > tolerance_) {
        return std::chrono::ceil<milliseconds>(expected - now - tolerance_);
    }
    even = expected + interval_;
    return std::nullopt;
}

} // namespace immortal::accounts
