// Checksums and digests. Thread-safe; no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace immortal::base {

using digest256 = std::array<std::uint8_t, 32>;

// CRC-32C (Castagnoli), as in RFC 3720; `seed` continues an earlier value.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes,
                                   std::uint32_t seed = 0) noexcept;

// BLAKE2b with 32 bytes of output (RFC 7693), keyed if `key` is not empty (16 to 64 bytes).
[[nodiscard]] digest256 blake2b(std::span<const std::byte> bytes, std::string_view key = {});
[[nodiscard]] digest256 blake2b(std::string_view text, std::string_view key = {});

// SHA-256 (FIPS 180-4).
[[nodiscard]] digest256 sha256(std::string_view text);

// A stable 64-bit hash (XXH3) for partitions and tables: the same value in every build and on every
// machine. Not for anything an adversary may aim at.
[[nodiscard]] std::uint64_t stable_hash(std::string_view text) noexcept;

[[nodiscard]] std::string hex(std::span<const std::uint8_t> bytes);

class blake2b_hasher {
public:
    explicit blake2b_hasher(std::string_view key = {});
    void update(std::string_view text);
    void update(std::span<const std::byte> bytes);
    // Call once; the hasher is spent afterwards.
    [[nodiscard]] digest256 finish();

private:
    alignas(64) std::array<std::byte, 384> state_{};
};

} // namespace immortal::base
