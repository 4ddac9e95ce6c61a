// The consumers of a group, their free slots, and who gets the next message. Pure.
#pragma once

#include "esdb/group_settings.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace immortal::esdb {

using consumer_id = std::uint64_t; // never given twice by one pool

// The pinning strategies divide messages into this many buckets; a consumer owns some of them.
constexpr std::uint32_t pin_buckets = 1024;

// Not thread-safe.
class consumer_pool {
public:
    explicit consumer_pool(consumer_strategy strategy);

    // `slots` >= 1: messages it may hold unanswered.
    consumer_id add(std::size_t slots);
    // Precondition: all its slots are free.
    void remove(consumer_id id);

    // Takes a slot for a message of this bucket (< pin_buckets). Empty: nobody may have it now. Two
    // consumers never hold messages of one bucket at the same time under a pinning strategy.
    [[nodiscard]] std::optional<consumer_id> pick(std::uint32_t bucket);
    // Frees what pick() took.
    void release(consumer_id id, std::uint32_t bucket);

    [[nodiscard]] bool full() const { return free_.empty(); } // also: there are none
    [[nodiscard]] bool has_slot(consumer_id id) const;
    // Under a pinning strategy: who gets the next message of the bucket, as soon as it has a slot.
    // Empty: nobody before what somebody else holds of it is released, or there is no consumer.
    [[nodiscard]] std::optional<consumer_id> owner_of(std::uint32_t bucket) const;
    // Whether a message may be given away while an earlier one cannot.
    [[nodiscard]] bool overtaking() const;
    [[nodiscard]] std::size_t size() const { return consumers_.size(); }
    [[nodiscard]] std::size_t held(consumer_id id) const { return consumers_.at(id).held; }
    [[nodiscard]] std::size_t slots(consumer_id id) const { return consumers_.at(id).slots; }

private:
    struct consumer {
        std::size_t slots = 0;
        std::size_t held = 0;
        std::size_t buckets = 0; // owned
    };
    struct bucket {
        consumer_id owner = 0; // 0: there is no consumer
        consumer_id holder = 0;
        std::size_t held = 0;
    };

    [[nodiscard]] std::optional<consumer_id> choose(std::uint32_t bucket);
    void give(bucket& which, consumer_id to);
    [[nodiscard]] consumer_id least_loaded() const;

    consumer_strategy strategy_;
    consumer_id last_id_ = 0;
    std::map<consumer_id, consumer> consumers_; // as they came
    std::set<consumer_id> free_;                // those with a slot
    consumer_id turn_ = 0;                      // round robin: who had the last turn
    std::vector<bucket> buckets_;               // one where nothing is pinned
};

} // namespace immortal::esdb
