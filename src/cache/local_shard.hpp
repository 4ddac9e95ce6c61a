// One shard of the in-process level: a bounded table of entries under one eviction policy.
#pragma once

#include "base/clock.hpp"
#include "cache/cache_class.hpp"
#include "cache/entry.hpp"

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace immortal::cache {

struct local_limits {
    eviction policy = eviction::lru;
    std::size_t entries_max = 0;
    std::size_t bytes_max = 0; // keys, payloads and a fixed cost per entry
};

struct local_hit {
    std::shared_ptr<const entry> value;
    base::steady_time stored;
    base::steady_time expires;
};

// Not thread-safe.
//
// LRU keeps one list in order of use. LFU keeps a list per use count (0 to 63, then no further);
// after every 16 * entries_max uses all counts are halved, so that what was popular once does not
// stay for ever. TTL keeps the entries by expiry.
class local_shard {
public:
    explicit local_shard(local_limits limits) : limits_(limits) {}

    // Counts as a use. Expired entries are removed and not found.
    [[nodiscard]] std::optional<local_hit> find(const std::string& key, base::steady_time now);
    // Stores unless what is there supersedes it, then evicts down to the limits (a value too large
    // for them is not kept). True if it is there afterwards.
    bool put(const std::string& key, std::shared_ptr<const entry> value, base::steady_time now,
             base::steady_time expires);
    void erase(const std::string& key);
    // Erases what is older than `position`.
    void erase_older(const std::string& key, base::position position);
    void clear();

    [[nodiscard]] std::size_t entries() const noexcept { return table_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t evictions() const noexcept { return evictions_; }

private:
    static constexpr std::size_t use_counts = 64;
    static constexpr std::size_t fixed_cost = 160;

    using order = std::list<const std::string*>;
    using by_expiry = std::multimap<base::steady_time, const std::string*>;
    struct slot {
        local_hit hit;
        std::size_t cost = 0;
        std::size_t uses = 0;
        order::iterator place;      // lru, lfu
        by_expiry::iterator expiry; // ttl
    };
    using table = std::unordered_map<std::string, slot>;

    void link(table::iterator it);
    void unlink(table::iterator it);
    void touch(table::iterator it);
    void remove(table::iterator it);
    void evict_one();
    void age();

    local_limits limits_;
    table table_;
    std::array<order, use_counts> orders_; // newest use in front; lru uses the first only
    by_expiry by_expiry_;
    std::size_t bytes_ = 0;
    std::uint64_t touches_ = 0;
    std::uint64_t evictions_ = 0;
};

} // namespace immortal::cache
