#include "base/random.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"

#include <sodium.h>

#include <cstring>
#include <vector>

namespace immortal::base {

std::uint64_t random_source::next() {
    std::array<std::uint8_t, 8> bytes{};
    fill(bytes);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

system_random::system_random() {
    const int ready = sodium_init();
    IMMORTAL_ASSERT(ready >= 0);
}

void system_random::fill(std::span<std::uint8_t> out) {
    randombytes_buf(out.data(), out.size());
}

void seeded_random::fill(std::span<std::uint8_t> out) {
    const std::scoped_lock lock(mutex_);
    for (auto& byte : out) {
        byte = static_cast<std::uint8_t>(engine_());
    }
}

std::string random_hex(random_source& random, std::size_t bytes) {
    std::vector<std::uint8_t> buffer(bytes);
    random.fill(buffer);
    return hex(buffer);
}

} // namespace immortal::base
