#include "game/context.hpp"

#include "base/assert.hpp"

namespace immortal::game {

std::int64_t dice::roll(std::int64_t sides) noexcept {
    IMMORTAL_ASSERT(sides >= 1);
    // SplitMix64; the multiplication takes the high bits, whose bias is below sides / 2^64.
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t bits = state_;
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
    bits ^= bits >> 31;
    const auto wide = static_cast<unsigned __int128>(bits) * static_cast<std::uint64_t>(sides);
    return static_cast<std::int64_t>(wide >> 64);
}

} // namespace immortal::game
