// The seam for randomness: production draws from the kernel, tests and simulations from a seed.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <span>
#include <string>

namespace immortal::base {

class random_source {
public:
    virtual ~random_source() = default;
    // Thread-safe.
    virtual void fill(std::span<std::uint8_t> out) = 0;
    [[nodiscard]] std::uint64_t next();
};

// Cryptographically secure.
class system_random final : public random_source {
public:
    system_random();
    void fill(std::span<std::uint8_t> out) override;
};

// Reproducible from its seed; not secure.
class seeded_random final : public random_source {
public:
    explicit seeded_random(std::uint64_t seed) : engine_(seed) {}
    void fill(std::span<std::uint8_t> out) override;

private:
    std::mutex mutex_;
    std::mt19937_64 engine_;
};

// `bytes` random bytes as lower-case hexadecimal text.
[[nodiscard]] std::string random_hex(random_source& random, std::size_t bytes);

} // namespace immortal::base
