// A group at work: reads its source as there is room, gives messages to consumers, writes
// checkpoints and parked links. The rules are persistent_group's; this is its I/O. When the memory
// of all groups is short it lets go of what it can read again (group_memory.hpp says when).
#pragma once

#include "esdb/group_consumer.hpp"
#include "esdb/group_storage.hpp"
#include "runtime/async_event.hpp"
#include "runtime/task_group.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <span>

namespace immortal::esdb {

// For the statistics.
struct connection_status {
    consumer_identity identity;
    std::uint64_t total_items = 0;
    std::uint64_t items_since_last = 0; // since statistics were asked for the last time
    std::uint64_t items_per_second = 0; // on the average
    std::size_t available_slots = 0;
    std::size_t in_flight = 0;
    std::vector<std::pair<std::string, std::int64_t>> measurements = {}; // extra statistics
};
struct group_status {
    group_definition definition;
    std::string state; // "Live", "Behind, OutstandingPageRequest", ...
    std::vector<connection_status> connections = {};
    std::uint64_t total_items = 0;
    std::uint64_t items_since_last = 0;
    std::uint64_t items_per_second = 0;
    std::optional<std::uint64_t> checkpoint = {}; // places
    std::optional<std::uint64_t> last_known = {};
    std::size_t read_buffer = 0;
    std::size_t live_buffer = 0;
    std::size_t retry_buffer = 0;
    std::size_t in_flight = 0;
    std::uint64_t parked = 0; // messages
};

// Thread-safe. start() once, then stop(); a stopped runner answers calls with nothing.
class group_runner {
public:
    static constexpr std::chrono::milliseconds tick{1'000}; // time limits are looked at so often
    static constexpr std::size_t slots_max = 10'000;        // of one consumer

    // What `services` refers to, and the executor, outlive the runner.
    group_runner(group_services services, boost::asio::any_io_executor executor,
                 group_definition definition);

    // Errors: those of group_storage::load().
    [[nodiscard]] awaitable<base::status> start();
    // Drops the consumers, waits for what is under way, writes the last checkpoint. False: that
    // could not be written; what it would have settled is delivered again.
    [[nodiscard]] awaitable<bool> stop(drop_reason why);
    // `slots` >= 1 (more than slots_max are cut). Errors: exhausted (the most consumers are
    // connected), deleted (the source is tombstoned), unavailable (stopped).
    [[nodiscard]] base::result<std::shared_ptr<group_consumer>> connect(std::size_t slots,
                                                                        consumer_identity who);
    void disconnect(const group_consumer& which); // once; also after it was dropped
    void ack(const group_consumer& from, std::span<const base::uuid> ids);
    void nack(const group_consumer& from, std::span<const base::uuid> ids, nack_action action,
              const std::string& reason);
    // A message that was let go before it was sent is read again, as soon as there is room. Empty:
    // the consumer does not hold it any more. The store's errors are waited out.
    [[nodiscard]] awaitable<std::optional<group_message>> whole(const group_consumer& to,
                                                                group_message message);
    // The message was sent to the consumer; what refers to it is dropped by the caller.
    void sent(const group_consumer& to, const base::uuid& id);
    // Gives the parked messages before number `stop_at` (empty: all of now) to the consumers again;
    // answers at once. While a replay runs, another one does nothing.
    void replay(std::optional<std::uint64_t> stop_at);
    // Looks at the time limits now instead of at the next tick.
    void look() { work_.notify_all(); }

    [[nodiscard]] group_status status();
    [[nodiscard]] const group_definition& definition() const { return definition_; }

private:
    struct member {
        std::shared_ptr<group_consumer> consumer;
        std::uint64_t items = 0;
        std::uint64_t items_told = 0;
        base::steady_time since;
    };

    [[nodiscard]] bool stopping();
    [[nodiscard]] base::steady_time now() const { return services_.clock.steady_now(); }
    void spawn(awaitable<void> work, std::string name);
    [[nodiscard]] awaitable<void> counted(awaitable<void> work);
    void deliver();             // with the lock; also tells what the group holds now
    void wake();                // without it
    void drop_all(drop_reason); // with the lock
    void open_source();

    [[nodiscard]] awaitable<void> read_source();
    [[nodiscard]] std::size_t wanted();
    // These with the lock. `room_` is notified when there is room again.
    [[nodiscard]] group_memory::need need();
    // How many events may be taken now, and with `bytes` how much of them.
    [[nodiscard]] std::size_t room(std::size_t& bytes);
    [[nodiscard]] std::size_t own_room() const; // bytes, whatever the other groups hold
    struct portion {
        std::size_t count = 0;
        std::size_t bytes = 0; // reserved, until release()
    };
    // As many events of these sizes as may be taken now; 0: none.
    [[nodiscard]] portion reserve(std::span<const std::size_t> sizes, group_memory::need why);
    void release(std::size_t bytes);
    void tell_held();
    void let_go_waiting();
    void let_go_given();

    // Reads messages again that were let go, as consumers are ready for them.
    [[nodiscard]] awaitable<void> restore();
    struct restoring;
    struct refilling;
    [[nodiscard]] std::optional<restoring> next_restoring();
    // Empty: it is gone.
    [[nodiscard]] awaitable<base::result<std::optional<eventstore::resolved_event>>>
    read_again(group_message message);
    // What waits was forgotten: the source is opened anew behind what was taken.
    [[nodiscard]] bool rewound();
    [[nodiscard]] awaitable<base::result<std::vector<eventstore::resolved_event>>>
    resolve(std::vector<eventstore::recorded_event> events);
    [[nodiscard]] awaitable<base::status> take(eventstore::subscription::batch batch);
    // Those of the events that may be taken at once; none: wait for room.
    [[nodiscard]] portion next_portion(std::span<const eventstore::recorded_event> events);
    [[nodiscard]] portion next_portion(std::span<const group_storage::parked_message> messages);
    // Begins the source anew behind what was taken: there was no room for `events` (not empty).
    void give_back(std::span<const eventstore::recorded_event> events);
    // With the lock.
    void take_one(std::uint64_t place, eventstore::resolved_event event);
    // How many parked messages may be replayed at once, and `bytes` of them.
    [[nodiscard]] std::size_t replay_room(std::size_t& bytes);
    void source_ended(const base::error& why);

    [[nodiscard]] awaitable<void> keep();
    [[nodiscard]] awaitable<bool> write_parkings(); // false: the store refused
    [[nodiscard]] awaitable<bool> write_checkpoint(bool last);
    [[nodiscard]] awaitable<bool> write_parked_floor();
    [[nodiscard]] awaitable<void> replay_parked(std::uint64_t from, std::uint64_t end);
    [[nodiscard]] awaitable<base::status>
    take_parked(std::vector<group_storage::parked_message> messages);

    group_services services_;
    boost::asio::any_io_executor executor_;
    group_definition definition_;
    group_storage storage_;
    runtime::async_event room_;  // something may be read
    runtime::async_event work_;  // something may be written
    runtime::async_event ended_; // a coroutine has ended
    runtime::task_group tasks_;

    std::mutex mutex_; // guards what follows; never held across a wait
    std::unique_ptr<persistent_group> group_;
    std::optional<group_memory::share> memory_;
    std::map<consumer_id, member> members_;
    std::unique_ptr<eventstore::subscription> source_;
    std::optional<std::uint64_t> checkpoint_; // as written
    std::uint64_t parked_from_ = 0;
    std::uint64_t parked_end_ = 0;
    std::uint64_t replayed_to_ = 0;
    std::uint64_t items_ = 0;
    std::uint64_t items_told_ = 0;
    base::steady_time since_;
    // Bytes, of the last page on the average, with what its links lead to; before, a guess that
    // keeps the first page small.
    std::size_t event_size_ = 1u << 20;
    std::size_t reserved_ = 0;           // bytes that are being read
    std::size_t refilling_ = 0;          // consumers that wait for messages that were let go
    std::size_t running_ = 0;            // coroutines
    std::optional<std::uint64_t> known_; // the last place that was ever taken
    bool rewound_ = false;
    bool gave_back_ = false; // for others: nothing is read ahead until a consumer has a slot
    bool replaying_ = false;
    bool reading_ = false;         // a page is asked for
    bool waits_for_bytes_ = false; // what is read cannot be taken yet
    bool caught_up_ = false;
    bool source_deleted_ = false;
    bool stopping_ = true;
};

} // namespace immortal::esdb
