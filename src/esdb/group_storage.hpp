// What a group keeps in the store: its checkpoint and its parked messages.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "esdb/group_definition.hpp"
#include "esdb/group_memory.hpp"
#include "esdb/persistent_group.hpp"
#include "eventstore/event_store.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace immortal::esdb {

using boost::asio::awaitable;

// Until when groups may write: for ever, until a stop says how long. Thread-safe.
class write_time {
public:
    using clock = std::chrono::steady_clock;

    void end_at(clock::time_point when) { end_ = when.time_since_epoch().count(); }
    // 0: it is over.
    [[nodiscard]] std::chrono::milliseconds left() const {
        const clock::duration end(end_.load());
        if (end == clock::duration::max()) {
            return std::chrono::milliseconds::max();
        }
        const auto rest = end - clock::now().time_since_epoch();
        return std::chrono::ceil<std::chrono::milliseconds>(
            std::max(rest, clock::duration::zero()));
    }
    [[nodiscard]] bool over() const { return left() == std::chrono::milliseconds::zero(); }

private:
    std::atomic<clock::rep> end_ = clock::duration::max().count();
};

// Everything outlives the services that hold it.
struct group_services {
    eventstore::event_store& store;
    base::clock& clock;
    base::random_source& random;
    group_memory* memory = nullptr; // null: each group has its own bound only
    std::shared_ptr<write_time> writing = std::make_shared<write_time>();
};

// Appends, and repeats the same append while its outcome is unknown or it did not come to its turn,
// as long as the groups may write. Errors: those of append(); unavailable (they may not).
[[nodiscard]] awaitable<base::result<eventstore::append_outcome>>
append_surely(group_services services, std::vector<eventstore::stream_write> writes);

// Used by one coroutine at a time; its numbers are read through the runner's lock.
class group_storage {
public:
    group_storage(group_services services, const std::string& key, bool of_all);

    struct state {
        std::optional<std::uint64_t> checkpoint; // place
        std::uint64_t parked_from = 0;           // `$tb` of the parked stream
        std::uint64_t parked_end = 0;            // number of the next parked message
    };
    // A checkpoint that is tombstoned or no place counts as none, and a parked stream that is
    // tombstoned as empty; both are logged as errors. Errors: those of the store.
    [[nodiscard]] awaitable<base::result<state>> load();

    // Errors of what follows: those of append().
    [[nodiscard]] awaitable<base::status> write_checkpoint(std::uint64_t place);
    // All of them or none; gives the number after the last one.
    [[nodiscard]] awaitable<base::result<std::uint64_t>> park(std::span<const parking> messages);
    [[nodiscard]] awaitable<base::status> truncate_parked(std::uint64_t from);
    // Soft-deletes both streams, but for what is tombstoned.
    [[nodiscard]] awaitable<base::status> remove();
    // remove(), before a group of that name is made. Errors also: invalid_argument (one of the
    // streams is tombstoned: the group could keep nothing in it).
    [[nodiscard]] awaitable<base::status> clear();

    // A message of the parked stream, and the event it points to (as it stands in the source).
    struct parked_message {
        std::uint64_t number = 0;
        std::optional<eventstore::recorded_event> target; // empty: it is gone
    };
    // From `from`, at most `count_max`; fewer only at the end, and as soon as the targets have
    // `bytes_max`. At least one, if there is one. Errors: those of the store.
    [[nodiscard]] awaitable<base::result<std::vector<parked_message>>>
    read_parked(std::uint64_t from, std::size_t count_max, std::size_t bytes_max);

private:
    [[nodiscard]] eventstore::new_event make_event(std::string type, std::string data,
                                                   std::string metadata) const;
    [[nodiscard]] awaitable<base::status> write_metadata(std::string stream, std::string json);
    [[nodiscard]] awaitable<base::result<std::optional<std::uint64_t>>> load_checkpoint();
    void complain(const std::string& stream, std::string_view why) const;
    [[nodiscard]] awaitable<base::status> remove_stream(std::string stream);
    [[nodiscard]] awaitable<base::result<std::optional<eventstore::recorded_event>>>
    target_of(std::string link);

    group_services services_;
    bool of_all_;
    std::string checkpoints_;
    std::string parked_;
    bool checkpoints_described_ = false; // their metadata is written
    bool parked_described_ = false;
};

} // namespace immortal::esdb
