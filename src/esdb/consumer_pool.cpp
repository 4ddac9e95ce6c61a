#include "esdb/consumer_pool.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::esdb {

consumer_pool::consumer_pool(consumer_strategy strategy)
    : strategy_(strategy), buckets_(overtaking() ? pin_buckets : 1) {}

bool consumer_pool::overtaking() const {
    return strategy_ == consumer_strategy::pinned ||
           strategy_ == consumer_strategy::pinned_by_correlation;
}

bool consumer_pool::has_slot(consumer_id id) const {
    return free_.contains(id);
}

std::optional<consumer_id> consumer_pool::owner_of(std::uint32_t bucket_index) const {
    const bucket& one = buckets_.at(bucket_index);
    const bool elsewhere = one.held > 0 && one.holder != one.owner;
    return one.owner == 0 || elsewhere ? std::nullopt : std::optional(one.owner);
}

void consumer_pool::give(bucket& which, consumer_id to) {
    if (which.owner != 0) {
        --consumers_.at(which.owner).buckets;
    }
    which.owner = to;
    ++consumers_.at(to).buckets;
}

consumer_id consumer_pool::least_loaded() const {
    return std::ranges::min_element(consumers_, {},
                                    [](const auto& one) { return one.second.buckets; })
        ->first;
}

consumer_id consumer_pool::add(std::size_t slots) {
    IMMORTAL_ASSERT(slots >= 1);
    const consumer_id id = ++last_id_;
    consumers_.emplace(id, consumer{.slots = slots});
    free_.insert(id);
    const std::size_t share = buckets_.size() / consumers_.size();
    for (bucket& one : buckets_) {
        if (one.owner == 0 ||
            (consumers_.at(id).buckets < share && consumers_.at(one.owner).buckets > share)) {
            give(one, id);
        }
    }
    return id;
}

void consumer_pool::remove(consumer_id id) {
    IMMORTAL_ASSERT(consumers_.at(id).held == 0);
    consumers_.erase(id);
    free_.erase(id);
    for (bucket& one : buckets_) {
        if (one.owner != id) {
            continue;
        }
        one.owner = 0;
        if (!consumers_.empty()) {
            give(one, least_loaded());
        }
    }
}

std::optional<consumer_id> consumer_pool::choose(std::uint32_t bucket_index) {
    if (overtaking()) {
        const auto owner = owner_of(bucket_index);
        return owner && has_slot(*owner) ? owner : std::nullopt;
    }
    if (free_.empty()) {
        return std::nullopt;
    }
    if (strategy_ == consumer_strategy::dispatch_to_single) {
        return *free_.begin();
    }
    const auto next = free_.upper_bound(turn_);
    turn_ = next == free_.end() ? *free_.begin() : *next;
    return turn_;
}

std::optional<consumer_id> consumer_pool::pick(std::uint32_t bucket_index) {
    const auto chosen = choose(bucket_index);
    if (chosen) {
        consumer& holder = consumers_.at(*chosen);
        if (++holder.held == holder.slots) {
            free_.erase(*chosen);
        }
        bucket& one = buckets_.at(bucket_index);
        one.holder = *chosen;
        ++one.held;
    }
    return chosen;
}

void consumer_pool::release(consumer_id id, std::uint32_t bucket_index) {
    consumer& one = consumers_.at(id);
    IMMORTAL_ASSERT(one.held > 0 && buckets_.at(bucket_index).held > 0);
    --one.held;
    free_.insert(id);
    --buckets_.at(bucket_index).held;
}

} // namespace immortal::esdb
