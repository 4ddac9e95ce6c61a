#include "api/rate_limiter.hpp"

#include "base/hash.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <mutex>
#include <vector>

namespace immortal::api {
namespace {

constexpr std::size_t ways = 8; // entries a key may stand in
constexpr std::size_t stripes = 64;

// GCRA: one time says all there is to say of a bucket, namely when it will be full again.
struct entry {
    std::uint64_t key = 0;
    std::int64_t full_at_ns = 0;
};

} // namespace

std::string_view name_of(rate_class kind) noexcept {
    static constexpr std::array<std::string_view, rate_class_count> names = {
        "none", "request", "log_in", "sign_up", "command"};
    return names[static_cast<std::size_t>(kind)];
}

struct rate_limiter::state {
    state(rate_settings given, const base::clock& time) : settings(given), clock(time) {
        const std::size_t sets = std::max<std::size_t>(1, settings.entries_max / ways);
        entries.resize(std::bit_floor(sets) * ways);
        base::system_random random;
        salt = random.next();
    }

    [[nodiscard]] const rate& rate_of(rate_class kind) const {
        static constexpr rate unlimited;
        switch (kind) {
        case rate_class::request:
            return settings.request;
        case rate_class::log_in:
            return settings.log_in;
        case rate_class::sign_up:
            return settings.sign_up;
        case rate_class::command:
            return settings.command;
        case rate_class::none:
            break;
        }
        return unlimited;
    }

    // The salt keeps an adversary from choosing keys that share a set.
    [[nodiscard]] std::uint64_t key_of(rate_class kind, std::string_view who) const {
        std::array<char, 96> text{};
        const std::uint64_t head = salt ^ static_cast<std::uint64_t>(kind);
        const auto bytes = std::bit_cast<std::array<char, 8>>(head);
        std::ranges::copy(bytes, text.begin());
        const std::size_t size = who.copy(text.data() + 8, text.size() - 8);
        return base::stable_hash({text.data(), size + 8}) | 1; // 0: an empty entry
    }

    std::int64_t now_ns() const {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(
                   clock.steady_now().time_since_epoch())
            .count();
    }

    const rate_settings settings;
    const base::clock& clock;
    std::uint64_t salt = 0;
    std::vector<entry> entries;
    std::array<std::mutex, stripes> mutexes;
};

rate_limiter::rate_limiter(rate_settings settings, const base::clock& clock)
    : state_(std::make_unique<state>(settings, clock)) {}
rate_limiter::~rate_limiter() = default;

base::status rate_limiter::take(rate_class kind, std::string_view who) {
    const rate& limit = state_->rate_of(kind);
    if (limit.per_second <= 0) {
        return {};
    }
    const auto step = static_cast<std::int64_t>(1e9 / limit.per_second);
    const auto tolerance =
        static_cast<std::int64_t>(std::max(1.0, limit.burst) * static_cast<double>(step));

    const std::uint64_t key = state_->key_of(kind, who);
    const std::size_t set = (key >> 1) & (state_->entries.size() / ways - 1);
    const std::lock_guard lock(state_->mutexes[set % stripes]);
    const std::int64_t now = state_->now_ns();
    entry* const first = &state_->entries[set * ways];
    entry* found =
        std::find_if(first, first + ways, [key](const entry& e) { return e.key == key; });
    if (found == first + ways) {
        found = std::min_element(first, first + ways, [](const entry& a, const entry& b) {
            return a.full_at_ns < b.full_at_ns;
        });
        *found = {key, now};
    }
    const std::int64_t full_at = std::max(found->full_at_ns, now) + step;
    if (full_at - now > tolerance) {
        base::error refused{base::errc::rate_limited,
                            "Too many requests of this kind; wait and try again.",
                            {},
                            {},
                            0};
        refused.retry_after_ms = static_cast<std::uint32_t>(std::min<std::int64_t>(
            (full_at - now - tolerance + 999'999) / 1'000'000, 24 * 3'600'000));
        return base::fail(std::move(refused));
    }
    found->full_at_ns = full_at;
    return {};
}

} // namespace immortal::api
