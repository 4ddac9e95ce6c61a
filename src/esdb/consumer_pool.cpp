#include "esdb/consumer_pool.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::esdb {

bool consumer_pool::overtaking() const {
    return strategy_ == consumer_strategy::pinned ||
           strategy_ == consumer_strategy::pinned_by_correlation;
}

bool consumer_pool::has_slot(consumer_id id) const {
    const consumer& one = consumers_.at(id);
    return one.held < one.slots;
}

void consumer_pool::give(bucket& which, consumer_id to) {
    if (which.owner != 0) {
        --consumers_.at(which.owner).buckets;
    }
    which.owner = to;
    ++consumers_.at(to).buckets;
}

consumer_id consumer_pool::least_loaded() const {
    return *std::ranges::min_element(order_, {},
                                     [this](consumer_id id) { return consumers_.at(id).buckets; });
}

consumer_id consumer_pool::add(std::size_t slots) {
    IMMORTAL_ASSERT(slots >= 1);
    const consumer_id id = ++last_id_;
    consumers_.emplace(id, consumer{.slots = slots});
    order_.push_back(id);
    free_ += slots;
    const std::size_t share = pin_buckets / order_.size();
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
    const auto place = std::ranges::find(order_, id);
    const auto index = static_cast<std::size_t>(place - order_.begin());
    order_.erase(place);
    if (index < turn_) {
        --turn_;
    }
    free_ -= consumers_.at(id).slots;
    for (bucket& one : buckets_) {
        if (one.owner != id) {
            continue;
        }
        if (order_.empty()) {
            one.owner = 0;
        } else {
            give(one, least_loaded());
        }
    }
    consumers_.erase(id);
}

std::optional<consumer_id> consumer_pool::choose(std::uint32_t bucket_index) {
    switch (strategy_) {
    case consumer_strategy::round_robin:
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const std::size_t asked = (turn_ + i) % order_.size();
            if (has_slot(order_[asked])) {
                turn_ = asked + 1;
                return order_[asked];
            }
        }
        return std::nullopt;
    case consumer_strategy::dispatch_to_single: {
        const auto found = std::ranges::find_if(order_, [&](auto id) { return has_slot(id); });
        return found == order_.end() ? std::nullopt : std::optional(*found);
    }
    case consumer_strategy::pinned:
    case consumer_strategy::pinned_by_correlation: {
        const bucket& one = buckets_.at(bucket_index);
        const bool elsewhere = one.held > 0 && one.holder != one.owner;
        return one.owner == 0 || elsewhere || !has_slot(one.owner) ? std::nullopt
                                                                   : std::optional(one.owner);
    }
    }
    return std::nullopt;
}

std::optional<consumer_id> consumer_pool::pick(std::uint32_t bucket_index) {
    const auto chosen = choose(bucket_index);
    if (chosen) {
        ++consumers_.at(*chosen).held;
        --free_;
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
    ++free_;
    --buckets_.at(bucket_index).held;
}

} // namespace immortal::esdb
