#include "game/rules.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace immortal::game {

std::int64_t add_capped(std::int64_t a, std::int64_t b) noexcept {
    return std::min(amount_max, a + b); // both below 2^53: no overflow
}

std::int64_t percent_of(std::int64_t amount, std::int64_t percent) noexcept {
    const __int128 product = static_cast<__int128>(amount) * percent / 100;
    return product > amount_max ? amount_max : static_cast<std::int64_t>(product);
}

std::int64_t game_seconds(double time_scale, base::utc_time from, base::utc_time to) noexcept {
    if (to <= from) {
        return 0;
    }
    const double seconds = static_cast<double>((to - from).count()) * time_scale / 1e6;
    // Rounding of the division must not take the last second away: real_time() rounds up.
    const double whole = std::floor(seconds + 1e-7);
    return whole >= static_cast<double>(amount_max) ? amount_max : static_cast<std::int64_t>(whole);
}

std::chrono::microseconds real_time(double time_scale, std::int64_t game_seconds) noexcept {
    constexpr double longest_ms = 1e14; // three thousand years
    const double ms = std::ceil(static_cast<double>(game_seconds) * 1e3 / time_scale - 1e-6);
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(ms, longest_ms)));
}

std::int64_t level_cost(std::int32_t level, std::int64_t realm_factor) noexcept {
    return 50 * static_cast<std::int64_t>(level) * realm_factor;
}

std::int32_t level_reached(const catalog& data, const realm& in, std::int32_t level_now,
                           std::int64_t experience) noexcept {
    std::int32_t level = level_now;
    while (level < in.last_level && data.experience_at(level + 1) <= experience) {
        ++level;
    }
    return level;
}

std::int64_t proficiency_at(std::int64_t level) noexcept {
    return 50 * level * (level - 1);
}

std::int64_t proficiency_level(const rules& numbers, std::int64_t experience) noexcept {
    std::int64_t level = 1;
    while (level < numbers.proficiency_level_max && proficiency_at(level + 1) <= experience) {
        ++level;
    }
    return level;
}

weather weather_of(std::int64_t die) noexcept {
    IMMORTAL_ASSERT(die >= 0 && die < 100);
    struct share {
        std::int64_t below;
        weather what;
    };
    static constexpr std::array<share, 6> shares{{{40, weather::clear},
                                                  {60, weather::rain},
                                                  {75, weather::mist},
                                                  {87, weather::snow},
                                                  {97, weather::thunder},
                                                  {100, weather::spirit_tide}}};
    const auto* const found =
        std::find_if(shares.begin(), shares.end(), [&](const share& s) { return die < s.below; });
    return found->what;
}

std::int64_t weather_bonus_percent(weather what) noexcept {
    switch (what) {
    case weather::clear:
        return 100;
    case weather::rain:
        return 95;
    case weather::mist:
        return 105;
    case weather::snow:
        return 102;
    case weather::thunder:
        return 115;
    case weather::spirit_tide:
        return 150;
    }
    return 100;
}

namespace {

struct double_hour {
    std::string_view name;
    std::int64_t bonus_percent;
};

// 子时 begins at 23:00.
constexpr std::array<double_hour, 12> double_hours{{{"子时", 120},
                                                    {"丑时", 110},
                                                    {"寅时", 115},
                                                    {"卯时", 110},
                                                    {"辰时", 105},
                                                    {"巳时", 100},
                                                    {"午时", 110},
                                                    {"未时", 100},
                                                    {"申时", 100},
                                                    {"酉时", 105},
                                                    {"戌时", 100},
                                                    {"亥时", 110}}};

const double_hour& double_hour_at(base::utc_time at) {
    const auto since_midnight = at - std::chrono::floor<std::chrono::days>(at);
    const auto hour = std::chrono::duration_cast<std::chrono::hours>(since_midnight).count();
    return double_hours[static_cast<std::size_t>((hour + 1) % 24 / 2)];
}

} // namespace

std::string_view hour_name(base::utc_time at) noexcept {
    return double_hour_at(at).name;
}

std::int64_t time_bonus_percent(base::utc_time at) noexcept {
    return double_hour_at(at).bonus_percent;
}

} // namespace immortal::game
