// The numbers of the game and its formulas; docs/rules.md explains them. Pure and thread-safe.
#pragma once

#include "base/clock.hpp"
#include "game/catalog.hpp"
#include "game/types.hpp"

#include <cstdint>
#include <string_view>

namespace immortal::game {

// Part of every snapshot: a snapshot of other rules is ignored. Raise it with any change of evolve
// or of a state's structure.
constexpr std::int64_t rules_version = 3;

struct rules {
    double time_scale = 1.0; // seconds of game time in one real second; > 0

    // A new player.
    std::int64_t initial_energy = 100;
    std::int64_t initial_attribute = 10;
    std::int64_t initial_gold = 1000;
    std::int64_t initial_spirit_stones = 0;
    std::string_view initial_location = "newbie_village";

    // Energy.
    std::int64_t regeneration_seconds = 360; // game seconds for one point
    std::int64_t rest_energy = 30;
    std::int64_t rest_cooldown_seconds = 3600; // game seconds from one rest to the next

    // Proficiency.
    std::int64_t proficiency_per_hour = 20; // of a completed session
    std::int64_t proficiency_level_max = 10;
    std::int64_t proficiency_bonus_percent = 2; // more experience per level above the first

    // A session that nobody completes is completed without the player so long (game seconds) after
    // it could have been.
    std::int64_t unattended_seconds = 86'400;

    // Insights and breakthrough.
    std::int64_t insight_chance_percent = 20;
    std::int64_t insights_max = 3;               // of one session
    std::int64_t insight_bonus_percent = 5;      // more experience each
    std::int64_t breakthrough_mercy_percent = 5; // more chance per failure in a row
    std::int64_t breakthrough_chance_max = 95;
    std::int64_t backlash_energy_percent = 50; // of the energy, lost when a breakthrough fails
};

// Amounts stay within what JSON numbers hold exactly.
constexpr std::int64_t amount_max = base::json_integer_max;

// `a + b`, kept at `amount_max`. Precondition: both in 0 .. amount_max.
[[nodiscard]] std::int64_t add_capped(std::int64_t a, std::int64_t b) noexcept;
// `amount * percent / 100`, rounded down, kept at `amount_max`.
[[nodiscard]] std::int64_t percent_of(std::int64_t amount, std::int64_t percent) noexcept;

// Whole game seconds from `from` to `to`; 0 if `to` is earlier.
[[nodiscard]] std::int64_t game_seconds(double time_scale, base::utc_time from,
                                        base::utc_time to) noexcept;
// The real time that `game_seconds` take, rounded up to a millisecond.
[[nodiscard]] std::chrono::microseconds real_time(double time_scale,
                                                  std::int64_t game_seconds) noexcept;

// Experience from `level` to the next one: 50 * level * the realm's factor.
[[nodiscard]] std::int64_t level_cost(std::int32_t level, std::int64_t realm_factor) noexcept;
// The level that `experience` reaches inside `in`: never above its last level, never below
// `level_now`.
[[nodiscard]] std::int32_t level_reached(const catalog& data, const realm& in,
                                         std::int32_t level_now, std::int64_t experience) noexcept;

// Total proficiency experience at which a technique has `level`: 50 * level * (level - 1).
[[nodiscard]] std::int64_t proficiency_at(std::int64_t level) noexcept;
[[nodiscard]] std::int64_t proficiency_level(const rules& numbers,
                                             std::int64_t experience) noexcept;

// The weather of a session from a die of 0 .. 99, and what it does to the experience.
[[nodiscard]] weather weather_of(std::int64_t die) noexcept;
[[nodiscard]] std::int64_t weather_bonus_percent(weather what) noexcept;
// By the hour of the UTC day, in double hours (时辰).
[[nodiscard]] std::string_view hour_name(base::utc_time at) noexcept;
[[nodiscard]] std::int64_t time_bonus_percent(base::utc_time at) noexcept;

} // namespace immortal::game
