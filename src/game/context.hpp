// What a decision gets from outside: the time, dice, the catalogue and the numbers of the game.
#pragma once

#include "base/clock.hpp"
#include "game/catalog.hpp"
#include "game/rules.hpp"

#include <cstdint>
#include <expected>
#include <string>

namespace immortal::game {

// Dice from a seed: the same seed gives the same throws on every machine. What a throw decided is
// recorded in the event.
class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}
    // 0 .. sides - 1. Precondition: sides >= 1.
    [[nodiscard]] std::int64_t roll(std::int64_t sides) noexcept;
    [[nodiscard]] bool chance(std::int64_t percent) noexcept { return roll(100) < percent; }

private:
    std::uint64_t state_;
};

// Lives no longer than catalogue and rules.
struct context {
    base::utc_time now; // cut to milliseconds: what an event can hold
    std::uint64_t dice_seed;
    const catalog& data;
    const game::rules& numbers;

    context(base::utc_time time, std::uint64_t seed, const catalog& from, const game::rules& with)
        : now(std::chrono::floor<std::chrono::milliseconds>(time)), dice_seed(seed), data(from),
          numbers(with) {}
};

// A rule says no. `code` is stable (docs/rules.md lists them all); `message` is for the player.
struct rejection {
    std::string code;
    std::string message;
};

template <typename T>
using decided = std::expected<T, rejection>;

[[nodiscard]] inline std::unexpected<rejection> reject(std::string code, std::string message) {
    return std::unexpected(rejection{std::move(code), std::move(message)});
}

} // namespace immortal::game
