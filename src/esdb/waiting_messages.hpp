// The messages of a group that wait for a consumer, and which of them is given away next. Pure.
//
// Under a pinning strategy each bucket has a lane of its own, because what one consumer cannot take
// now must not hold up the others; else there is one lane. In a lane messages stand in their order.
// Only the head of a lane can be given away, and only while no other message of its id is out.
//
// Every step costs O(log n) of what waits, whatever waits in vain: the lanes that may go to a
// consumer are kept in the order of their heads, and so are the consumers that have a free slot.
//
// Invariants:
//   1. A lane is listed for a consumer exactly if it has messages, the id of its head is not out
//   (or
//      has gone out since; then give() finds that), and its consumer may have the bucket now.
//   2. A lane whose head waits for an id is named in `out_` of that id.
//   3. `offers_` holds the head of the first lane of each consumer that has lanes and a free slot.
#pragma once

#include "esdb/group_message.hpp"

#include <compare>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace immortal::esdb {

enum class message_rank : std::uint8_t { retried, replayed, fresh };
struct message_order {
    message_rank rank = message_rank::fresh;
    std::uint64_t number = 0;
    friend auto operator<=>(const message_order&, const message_order&) = default;
};

// Not thread-safe. `pool` outlives it; whose slots are taken is changed through here.
class waiting_messages {
public:
    explicit waiting_messages(consumer_pool& pool) : pool_(pool) {}

    // No other message waits at that place.
    void add(message_order place, group_message message);
    // Takes the next message and a slot for it; empty: nobody may have any, or the next one is not
    // `before` that place.
    [[nodiscard]] std::optional<delivery> give(std::optional<message_order> before = {});
    // What was given is settled or comes again: its slot is free, another one may have its id.
    void give_back(const group_message& message, consumer_id holder);
    // Takes out everything that waits, in no particular order.
    [[nodiscard]] std::vector<std::pair<message_order, group_message>> drain();
    // After consumers were added to the pool or removed from it.
    void consumers_changed();

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t retries() const { return retries_; } // of them not fresh
    // Messages that give() looked at since the beginning, given or not: its cost.
    [[nodiscard]] std::uint64_t looks() const { return looks_; }

private:
    using lane_number = std::uint32_t;
    struct lane {
        std::map<message_order, group_message> messages;
        consumer_id listed_for = 0; // 0: not listed
        message_order listed_as;
    };
    struct queue { // of a consumer
        std::set<std::pair<message_order, lane_number>> lanes;
        std::optional<message_order> offered;
    };

    [[nodiscard]] std::optional<lane_number> first_lane();
    void list_anew(lane_number number);
    void offer_anew(consumer_id id);
    [[nodiscard]] delivery take_head(lane_number number);

    consumer_pool& pool_;
    std::map<lane_number, lane> lanes_; // those with messages
    std::map<consumer_id, queue> queues_;
    std::set<std::pair<message_order, consumer_id>> offers_;
    std::unordered_map<base::uuid, std::set<lane_number>> out_; // ids, and who waits for them
    std::size_t size_ = 0;
    std::size_t retries_ = 0;
    std::uint64_t looks_ = 0;
};

} // namespace immortal::esdb
