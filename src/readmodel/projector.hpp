// The projector: events into rows, exactly once in effect.
//
// One router reads `$all` in order and gives each event to every owner it affects. A batch of
// events becomes one transaction: the owners' rows, the statistics' increments and the checkpoints
// of all leased partitions, each `WHERE lease_epoch = ... AND position = ...`. A process that
// lost its lease (paused, partitioned) therefore writes nothing.
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"
#include "eventstore/event_store.hpp"
#include "postgres/database.hpp"
#include "readmodel/progress.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace immortal::cache {
class service;
}
namespace immortal::game {
class catalog;
}

namespace immortal::readmodel {

// What start() does with a partition that another, unexpired lease holds.
enum class lease_policy : std::uint8_t {
    respect,  // waits until it expires (several processes share the work)
    take_over // takes it; safe by the fence (the only process of an installation, after kill -9)
};

struct projector_settings {
    std::string name;                // of this process, in the lease; unique per start
    std::size_t partitions_max = 16; // how many this process may lease
    lease_policy policy = lease_policy::respect;
    milliseconds lease_time{10'000};
    std::size_t batch_events_max = 8'192; // in one transaction
    std::size_t folds_max = 200'000;      // states of streams kept in memory
    milliseconds retry_min{20};           // back-off while PostgreSQL is away
    milliseconds retry_max{1'000};
};

// For tests: called before each step with its name; returning false makes the step fail as if the
// connection had been lost there. Empty in production.
using step_hook = std::function<bool(const char* step)>;

class projector {
public:
    struct parts {
        postgres::database& database;
        eventstore::event_store& store;
        const game::catalog& catalog;
        progress& applied;
        cache::service* shared; // may be null
        base::clock& clock;
        base::metrics& metrics;
    };
    // Everything in `parts` outlives it.
    projector(boost::asio::any_io_executor executor, parts uses, projector_settings settings);
    ~projector(); // stop() must have been awaited
    projector(const projector&) = delete;
    projector& operator=(const projector&) = delete;

    // Refuses (errc::mismatch, a sentence naming `immortal rebuild`) checkpoints of another log or
    // epoch, or beyond the head. unavailable: PostgreSQL does not answer. After a good start it
    // recovers from everything by itself.
    awaitable<base::status> start();
    awaitable<void> stop(); // ends after the commit under way; gives the leases back

    // Empty: healthy. Else a sentence for the health page (away from PostgreSQL, fence lost, ...).
    [[nodiscard]] std::string trouble() const;
    // Distance to the head of the log, in bytes of the log; 0 when caught up.
    [[nodiscard]] std::uint64_t lag() const;

    void set_step_hook(step_hook hook); // before start()

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace immortal::readmodel
