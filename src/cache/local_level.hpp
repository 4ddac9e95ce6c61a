// The in-process level (L1) of all classes: sharded, bounded, and honest about its age.
#pragma once

#include "base/clock.hpp"
#include "cache/cache_class.hpp"
#include "cache/entry.hpp"
#include "cache/local_shard.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::cache {

// Thread-safe. A value that was read before somebody freshened its key never gets in: whoever
// loads takes a ticket first, and freshening makes all tickets of the key void.
class local_level {
public:
    struct ticket {
        std::uint64_t slot = 0;
        std::uint64_t cleared = 0;
    };

    // `always_confirmed`: no invalidation can be missed (see settings::exclusive). `entries_max`:
    // of each class, where the class's own bound is greater.
    local_level(const base::clock& clock, milliseconds unconfirmed_age, bool always_confirmed,
                std::size_t entries_max = std::numeric_limits<std::size_t>::max());

    [[nodiscard]] std::optional<entry> find(const key& where, std::optional<base::position> after);
    [[nodiscard]] ticket take_ticket(const key& where) const;
    // What a loader or Redis gave. False: the ticket was void, or something newer is there.
    bool fill(const key& where, const entry& value, const ticket& taken);
    // A committed change: makes tickets void; older values lose.
    void freshen(const key& where, const entry& value);
    // The key changed at `position`, the value is not known here.
    void invalidate(std::size_t class_index, const std::string& key_text, base::position position);
    void forget(std::size_t class_index, const std::string& key_text);
    void clear();

    // Invalidations are known to arrive until then; the past: they are not.
    void confirm_until(base::steady_time until);
    [[nodiscard]] bool confirmed() const;

    struct usage {
        std::size_t entries = 0;
        std::size_t bytes = 0;
        std::uint64_t evictions = 0;
    };
    [[nodiscard]] usage used() const;

private:
    static constexpr std::size_t shards_per_class = 8;
    static constexpr std::size_t slots = 4096;
    struct shard {
        explicit shard(local_limits limits) : table(limits) {}
        mutable std::mutex mutex;
        local_shard table;
    };

    [[nodiscard]] shard& shard_of(std::size_t class_index, std::uint64_t hash) const;
    [[nodiscard]] bool store(const key& where, const entry& value, const ticket* taken);

    const base::clock& clock_;
    const milliseconds unconfirmed_age_;
    const bool always_confirmed_;
    std::atomic<std::int64_t> confirmed_until_{0}; // steady nanoseconds
    std::array<std::array<std::unique_ptr<shard>, shards_per_class>, classes::count> shards_;
    // How often keys of this hash were freshened. Changed under the key's shard lock.
    std::unique_ptr<std::array<std::atomic<std::uint64_t>, slots>> freshened_;
    std::atomic<std::uint64_t> cleared_{0};
};

} // namespace immortal::cache
