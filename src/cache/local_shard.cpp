#include "cache/local_shard.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::cache {

void local_shard::link(table::iterator it) {
    slot& s = it->second;
    if (limits_.policy == eviction::ttl) {
        s.expiry = by_expiry_.emplace(s.hit.expires, &it->first);
    } else {
        order& list = orders_[limits_.policy == eviction::lfu ? s.uses : 0];
        s.place = list.insert(list.begin(), &it->first);
    }
}

void local_shard::unlink(table::iterator it) {
    slot& s = it->second;
    if (limits_.policy == eviction::ttl) {
        by_expiry_.erase(s.expiry);
    } else {
        orders_[limits_.policy == eviction::lfu ? s.uses : 0].erase(s.place);
    }
}

void local_shard::touch(table::iterator it) {
    slot& s = it->second;
    if (limits_.policy == eviction::lru) {
        orders_[0].splice(orders_[0].begin(), orders_[0], s.place);
    } else if (limits_.policy == eviction::lfu) {
        const std::size_t next = std::min(s.uses + 1, use_counts - 1);
        orders_[next].splice(orders_[next].begin(), orders_[s.uses], s.place);
        s.uses = next;
        if (++touches_ >= 16 * limits_.entries_max) {
            age();
        }
    }
}

void local_shard::age() {
    touches_ = 0;
    for (std::size_t uses = 1; uses < use_counts; ++uses) {
        for (const std::string* key : orders_[uses]) {
            table_.find(*key)->second.uses = uses / 2;
        }
        orders_[uses / 2].splice(orders_[uses / 2].begin(), orders_[uses]);
    }
}

void local_shard::remove(table::iterator it) {
    unlink(it);
    bytes_ -= it->second.cost;
    table_.erase(it);
}

void local_shard::evict_one() {
    const std::string* victim = nullptr;
    if (limits_.policy == eviction::ttl) {
        IMMORTAL_ASSERT(!by_expiry_.empty());
        victim = by_expiry_.begin()->second;
    } else {
        const auto lowest =
            std::ranges::find_if(orders_, [](const order& list) { return !list.empty(); });
        IMMORTAL_ASSERT(lowest != orders_.end());
        victim = lowest->back();
    }
    ++evictions_;
    remove(table_.find(*victim));
}

std::optional<local_hit> local_shard::find(const std::string& key, base::steady_time now) {
    const auto it = table_.find(key);
    if (it == table_.end()) {
        return std::nullopt;
    }
    if (it->second.hit.expires <= now) {
        remove(it);
        return std::nullopt;
    }
    touch(it);
    return it->second.hit;
}

bool local_shard::put(const std::string& key, std::shared_ptr<const entry> value,
                      base::steady_time now, base::steady_time expires) {
    const std::size_t cost = fixed_cost + key.size() + value->payload.size();
    std::size_t uses = 0;
    if (const auto it = table_.find(key); it != table_.end()) {
        if (it->second.hit.expires > now && !supersedes(*value, *it->second.hit.value)) {
            return false;
        }
        uses = it->second.uses;
        remove(it);
    }
    if (limits_.entries_max == 0 || cost > limits_.bytes_max) {
        return false;
    }
    // Room is made first: a new entry with no uses yet would otherwise be the first victim of LFU.
    while (table_.size() >= limits_.entries_max || bytes_ + cost > limits_.bytes_max) {
        evict_one();
    }
    const auto it =
        table_.emplace(key, slot{{std::move(value), now, expires}, cost, uses, {}, {}}).first;
    bytes_ += cost;
    link(it);
    return true;
}

void local_shard::erase(const std::string& key) {
    if (const auto it = table_.find(key); it != table_.end()) {
        remove(it);
    }
}

void local_shard::erase_older(const std::string& key, base::position position) {
    const auto it = table_.find(key);
    if (it != table_.end() && it->second.hit.value->position < position) {
        remove(it);
    }
}

void local_shard::clear() {
    table_.clear();
    by_expiry_.clear();
    for (order& list : orders_) {
        list.clear();
    }
    bytes_ = 0;
}

} // namespace immortal::cache
