// A group of consumers that share one source: what waits, who holds what, what is tried again, what
// is parked, and up to where everything is settled. A state machine: no I/O, the time comes in.
//
// A message is taken from the source, waits, is given to a consumer (in flight) and is settled when
// the consumer answers with ack, skip or stop, or when it is parked and the link that says so is
// durable. Until then it is tried again whenever a consumer fails, lets its time pass or leaves.
// The checkpoint stands before the first message of the source that is not settled.
//
// When memory is short, messages are let go: what waits in vain is forgotten as if it had never
// been taken, or, like what was given and sent, kept without its bytes ("hollow"). A hollow message
// can be settled and parked; before it is given again it is made whole.
//
// Served in this order: messages to be tried again, by place; replayed parked ones; new ones.
#pragma once

#include "base/clock.hpp"
#include "esdb/group_settings.hpp"
#include "esdb/latency_window.hpp"
#include "esdb/waiting_messages.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace immortal::esdb {

// A message that shall be parked.
struct parking {
    group_message message;
    std::string reason;
};

enum class nack_action : std::uint8_t { retry, park, skip, stop };

// How far a group is; counts since it was made.
struct group_mark {
    std::optional<std::uint64_t> place; // empty: before everything
    std::uint64_t taken = 0;            // events
    std::uint64_t skipped = 0;          // events that the filter left out
};

// Not thread-safe.
class persistent_group {
public:
    static constexpr std::size_t bytes_held_max = 64u << 20; // beyond that nothing is taken
    static constexpr std::uint64_t skipped_mark_min =
        1'000; // skipped events that make a checkpoint

    // `settings` are checked. `after`: where the source goes on.
    persistent_group(group_settings settings, std::optional<std::uint64_t> after,
                     base::steady_time now);
    persistent_group(const persistent_group&) = delete;
    persistent_group& operator=(const persistent_group&) = delete;

    [[nodiscard]] consumer_id connect(std::size_t slots); // >= 1
    void disconnect(consumer_id id);                      // what it holds is tried again
    [[nodiscard]] bool full() const;                      // as many consumers as the settings allow

    // How many events may be taken; 0: none until something is settled or given away.
    [[nodiscard]] std::size_t room() const;
    // `place` and those before it are seen; places ascend.
    void take(std::uint64_t place, eventstore::resolved_event event);
    void skip(std::uint64_t place, std::uint64_t count);
    // A message from the parked stream; `number` there. Needs room().
    void replay(std::uint64_t number, std::uint64_t place, eventstore::resolved_event event);
    void replayed_to(std::uint64_t end); // parked numbers before `end` were read
    // Parked numbers before this are settled; empty: nothing was ever replayed.
    [[nodiscard]] std::optional<std::uint64_t> parked_floor() const;
    [[nodiscard]] bool replaying() const { return !replayed_.empty(); }

    // What the consumers get now.
    [[nodiscard]] std::vector<delivery> push(base::steady_time now);
    // Answers to messages that the consumer does not hold (any more) are ignored.
    void ack(consumer_id from, const base::uuid& id, base::steady_time now);
    void nack(consumer_id from, const base::uuid& id, nack_action action, std::string reason,
              base::steady_time now);
    void expire(base::steady_time now); // what was not answered in time is tried again

    // Lets go of what waits, which nobody can have now: after push(). True: fresh ones were
    // forgotten or are hollow; the source goes on after last(), when it may (holds_source_back()).
    [[nodiscard]] bool let_go_waiting();
    void let_go_given(); // of every message that nobody else refers to
    // A message that the consumer holds is whole again; false: it does not hold it any more.
    [[nodiscard]] bool refill(consumer_id holder, const base::uuid& id,
                              std::shared_ptr<const eventstore::resolved_event> event);
    void let_go(consumer_id holder, const base::uuid& id); // of a message that was sent
    // The first hollow message that a consumer has a slot for; without one, the first fresh one.
    struct hollow {
        message_order order;
        group_message message;
    };
    [[nodiscard]] std::optional<hollow> next_hollow(bool deliverable) const;
    // It waits again, whole. Empty: it is gone from the source, and settled.
    void restore(const message_order& order, std::optional<eventstore::resolved_event> event);
    // Hollow ones come first: those after them wait in the source, so that the order stays.
    [[nodiscard]] bool holds_source_back() const;

    // What shall be parked; each is told by parked() or unparked() afterwards.
    [[nodiscard]] std::vector<parking> take_parkings();
    void parked(const group_message& message); // durably
    void unparked(parking failed);             // it could not be written: comes again
    [[nodiscard]] bool has_parkings() const { return !parkings_.empty(); }

    // Where the next checkpoint is to be written, when it is time.
    [[nodiscard]] std::optional<group_mark> checkpoint_due(base::steady_time now) const;
    // Everything before it is settled.
    [[nodiscard]] group_mark settled() const;
    [[nodiscard]] std::optional<group_mark> final_checkpoint() const; // at an orderly end
    void checkpoint_written(const group_mark& mark, base::steady_time now);

    [[nodiscard]] std::size_t waiting_new() const { return waiting_.size() - waiting_.retries(); }
    [[nodiscard]] std::size_t waiting_retries() const {
        return waiting_.retries() + hollow_.size();
    }
    [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
    // Waiting messages that push() has looked at since the beginning: what it costs.
    [[nodiscard]] std::uint64_t looks() const { return waiting_.looks(); }
    [[nodiscard]] std::size_t bytes_held() const { return bytes_held_; }
    [[nodiscard]] std::size_t unsettled() const { return open_.size() + replayed_.size(); }
    [[nodiscard]] const consumer_pool& consumers() const { return pool_; }
    [[nodiscard]] const latency_window& latencies(consumer_id id) const {
        return latencies_.at(id);
    }
    [[nodiscard]] const group_mark& last() const { return last_; } // taken or skipped
    [[nodiscard]] const group_settings& settings() const { return settings_; }

private:
    struct flight {
        group_message message;
        consumer_id holder = 0;
        base::steady_time since;
        std::uint64_t number = 0; // of the delivery
    };
    using flights = std::unordered_map<base::uuid, flight>;

    [[nodiscard]] group_message make_message(std::uint64_t place, eventstore::resolved_event event);
    void wait(group_message message, message_rank rank);
    void empty(group_message& message);
    void fill(group_message& message, std::shared_ptr<const eventstore::resolved_event> event);
    void try_again(group_message message);
    void park(group_message message, std::string reason);
    void settle(const group_message& message);
    [[nodiscard]] flights::iterator find_held(consumer_id from, const base::uuid& id);
    [[nodiscard]] group_message land(flights::iterator which); // no longer in flight

    group_settings settings_;
    consumer_pool pool_;
    waiting_messages waiting_;
    std::map<message_order, group_message> hollow_; // those that come again
    flights in_flight_;
    std::map<std::uint64_t, base::uuid> in_flight_by_age_; // number of the delivery: id
    std::uint64_t deliveries_ = 0;
    std::vector<parking> parkings_;
    std::size_t parking_ = 0;                  // handed out by take_parkings(), not told yet
    std::map<std::uint64_t, group_mark> open_; // unsettled places, each with the mark before it
    std::set<std::uint64_t> replayed_;         // unsettled numbers of the parked stream
    std::optional<std::uint64_t> replay_end_;
    std::size_t bytes_held_ = 0;
    group_mark last_;
    group_mark written_;
    base::steady_time written_at_;
    std::map<consumer_id, latency_window> latencies_;
};

// Lets go of the bytes of a message.
void make_hollow(group_message& message);

// Which bucket a message belongs to (< pin_buckets).
[[nodiscard]] std::uint32_t bucket_of(const eventstore::resolved_event& event,
                                      consumer_strategy strategy);

} // namespace immortal::esdb
