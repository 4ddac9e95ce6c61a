#include "base/uuid.hpp"

#include "base/hash.hpp"
#include "base/random.hpp"

#include <cstring>

namespace immortal::base {
namespace {

constexpr std::string_view digits = "0123456789abcdef";
constexpr std::size_t text_size = 36;

bool is_hyphen_place(std::size_t i) {
    return i == 8 || i == 13 || i == 18 || i == 23;
}

int digit_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

void stamp(uuid& id, unsigned version) {
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0Fu) | (version << 4u));
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3Fu) | 0x80u);
}

} // namespace

std::string uuid::text() const {
    std::string out(text_size, '-');
    std::size_t at = 0;
    for (const std::uint8_t byte : bytes) {
        if (is_hyphen_place(at)) {
            ++at;
        }
        out[at++] = digits[byte >> 4u];
        out[at++] = digits[byte & 0x0Fu];
    }
    return out;
}

std::optional<uuid> uuid::parse(std::string_view text) noexcept {
    if (text.size() != text_size) {
        return std::nullopt;
    }
    uuid id;
    std::size_t nibble = 0;
    for (std::size_t i = 0; i < text_size; ++i) {
        if (is_hyphen_place(i)) {
            if (text[i] != '-') {
                return std::nullopt;
            }
            continue;
        }
        const int value = digit_value(text[i]);
        if (value < 0) {
            return std::nullopt;
        }
        auto& byte = id.bytes[nibble / 2];
        byte = static_cast<std::uint8_t>((byte << 4) | value);
        ++nibble;
    }
    return id;
}

uuid uuid::make_random(random_source& random) {
    uuid id;
    random.fill(id.bytes);
    stamp(id, 4);
    return id;
}

uuid uuid::make_derived(std::string_view scope, std::string_view name) {
    blake2b_hasher hasher;
    hasher.update(scope);
    hasher.update(std::string_view("\0", 1));
    hasher.update(name);
    const digest256 digest = hasher.finish();
    uuid id;
    std::memcpy(id.bytes.data(), digest.data(), id.bytes.size());
    stamp(id, 8);
    return id;
}

} // namespace immortal::base

std::size_t
std::hash<immortal::base::uuid>::operator()(const immortal::base::uuid& id) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, id.bytes.data(), 8);
    std::memcpy(&low, id.bytes.data() + 8, 8);
    return high ^ (low * 0x9E3779B97F4A7C15ULL);
}
