#include "base/hash.hpp"

#include <cstring>
#include <new>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include <sodium.h>
#define XXH_INLINE_ALL
#include "base/assert.hpp"

#include <xxhash.h>

namespace immortal::base {
namespace {

static_assert(sizeof(crypto_generichash_state) <= 384 && alignof(crypto_generichash_state) <= 64);

crypto_generichash_state* state_of(std::array<std::byte, 384>& storage) {
    return std::launder(reinterpret_cast<crypto_generichash_state*>(storage.data()));
}

const unsigned char* octets(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

// Both take and give the inverted running value.
constexpr std::array<std::uint32_t, 256> crc32c_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1u) ^ ((value & 1u) != 0 ? 0x82F63B78u : 0u);
        }
        table[i] = value;
    }
    return table;
}();

std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t running) noexcept {
    for (const std::byte byte : bytes) {
        running =
            (running >> 8u) ^ crc32c_table[(running ^ static_cast<std::uint8_t>(byte)) & 0xFFu];
    }
    return running;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t
crc32c_by_instruction(std::span<const std::byte> bytes, std::uint32_t running) noexcept {
    std::uint64_t crc = running;
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    auto tail = static_cast<std::uint32_t>(crc);
    for (; left > 0; --left, ++at) {
        tail = _mm_crc32_u8(tail, static_cast<std::uint8_t>(*at));
    }
    return tail;
}
#endif

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) noexcept {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) {
        return ~crc32c_by_instruction(bytes, ~seed);
    }
#endif
    return ~crc32c_by_table(bytes, ~seed);
}

digest256 blake2b(std::string_view text, std::string_view key) {
    digest256 out{};
    const int failed = crypto_generichash(out.data(), out.size(), octets(text), text.size(),
                                          key.empty() ? nullptr : octets(key), key.size());
    IMMORTAL_ASSERT(failed == 0);
    return out;
}

digest256 blake2b(std::span<const std::byte> bytes, std::string_view key) {
    return blake2b(as_text(bytes), key);
}

digest256 sha256(std::string_view text) {
    digest256 out{};
    crypto_hash_sha256(out.data(), octets(text), text.size());
    return out;
}

std::uint64_t stable_hash(std::string_view text) noexcept {
    return XXH3_64bits(text.data(), text.size());
}

std::string hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        out.push_back(digits[byte >> 4u]);
        out.push_back(digits[byte & 0x0Fu]);
    }
    return out;
}

blake2b_hasher::blake2b_hasher(std::string_view key) {
    auto* state = new (state_.data()) crypto_generichash_state;
    crypto_generichash_init(state, key.empty() ? nullptr : octets(key), key.size(), 32);
}

void blake2b_hasher::update(std::string_view text) {
    crypto_generichash_update(state_of(state_), octets(text), text.size());
}

void blake2b_hasher::update(std::span<const std::byte> bytes) {
    update(as_text(bytes));
}

digest256 blake2b_hasher::finish() {
    digest256 out{};
    crypto_generichash_final(state_of(state_), out.data(), out.size());
    return out;
}

} // namespace immortal::base
