// Owners and their partitions: every row belongs to one owner (so far a player), every owner to one
// of 16 partitions, and only the process that leases the partition writes the owner's rows.
#pragma once

#include "base/hash.hpp"
#include "base/uuid.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace immortal::readmodel {

constexpr std::size_t partition_count = 16;

// Part of the stored format: checkpoints of one build are read by the next.
[[nodiscard]] inline std::size_t partition_of(const base::uuid& owner) noexcept {
    const std::string_view bytes(reinterpret_cast<const char*>(owner.bytes.data()),
                                 owner.bytes.size());
    return static_cast<std::size_t>(base::stable_hash(bytes) % partition_count);
}

} // namespace immortal::readmodel
