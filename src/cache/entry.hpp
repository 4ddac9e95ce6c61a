// A cached value with what it says about itself, and its form in Redis.
#pragma once

#include "base/ids.hpp"
#include "cache/cache_class.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace immortal::cache {

struct entry {
    base::position position; // the last event that changed the value
    base::position as_of;    // up to here its source had been processed; >= position
    bool absent = false;     // the thing does not exist (then `payload` is empty)
    std::string payload;     // JSON text

    friend bool operator==(const entry&, const entry&) = default;
};

// Whether a reader who asks for at least `after` may have it.
[[nodiscard]] inline bool passes(const entry& e, std::optional<base::position> after) noexcept {
    return !after || e.as_of >= *after || e.position >= *after;
}

// Whether `candidate` may stand where `present` stands: a newer value is never replaced by an older
// one; of two equally old values the one confirmed later wins.
[[nodiscard]] inline bool supersedes(const entry& candidate, const entry& present) noexcept {
    return candidate.position != present.position ? candidate.position > present.position
                                                  : candidate.as_of >= present.as_of;
}

// One change that the read model has committed.
struct fresh_entry {
    key where;
    entry value; // of a `write_strategy::back` class only `position` and `as_of` are used
};

// The value of a Redis string key, big-endian:
//
//   entry      = generation check identity position as-of flags payload
//   generation = 16 bytes of text, the value of cache:generation when it was written
//   check      = 4 bytes: CRC-32C of the key's text and of everything behind `check`
//   identity   = log id (16 bytes) epoch (4 bytes)
//   position   = 8 bytes
//   as-of      = 8 bytes
//   flags      = 1 byte: 1 absent, 2 changed since (no payload: derive again)
//   payload    = *byte
//
// The scripts in scripts.cpp read the same places.
namespace wire {
constexpr std::size_t generation_size = 16;
constexpr std::size_t check_at = generation_size;
constexpr std::size_t identity_at = check_at + 4;
constexpr std::size_t identity_size = 20;
constexpr std::size_t position_at = identity_at + identity_size;
constexpr std::size_t as_of_at = position_at + 8;
constexpr std::size_t flags_at = as_of_at + 8;
constexpr std::size_t header_size = flags_at + 1;
constexpr unsigned char flag_absent = 1;
constexpr unsigned char flag_changed = 2;
static_assert(header_size == 57);

struct decoded {
    std::string_view generation;
    base::log_identity identity;
    entry value;
    bool changed = false;
};

[[nodiscard]] std::string encode_identity(const base::log_identity& identity);
// Everything behind the generation, which the script puts in front.
[[nodiscard]] std::string encode(std::string_view key, const base::log_identity& identity,
                                 const entry& value, bool changed);
// Empty for bytes that no `encode` made for this key. `generation` points into `bytes`.
[[nodiscard]] std::optional<decoded> decode(std::string_view key, std::string_view bytes);
} // namespace wire

} // namespace immortal::cache
