// How far the read model has come, partition by partition, and a place to wait for it.
//
// The projector of this process moves it after each commit; in a process without the projector role
// a `checkpoint_poller` moves it from the checkpoints in PostgreSQL. Positions belong to the log
// that the process was started with.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "postgres/database.hpp"
#include "readmodel/partition.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

namespace immortal::readmodel {

using boost::asio::awaitable;
using std::chrono::milliseconds;

constexpr std::size_t progress_waiters_max = 65'536; // callers waiting; more get errc::exhausted

// Thread-safe.
class progress {
public:
    progress();
    ~progress();
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;

    // Empty: nothing has been processed yet, or it is not known.
    [[nodiscard]] std::optional<base::position> applied(std::size_t partition) const;
    // The smallest over all partitions: up to here every owner is up to date.
    [[nodiscard]] std::optional<base::position> applied_everywhere() const;

    // Everything at or before `to` is in the committed rows of `partition`. A smaller position than
    // before is ignored.
    void advance(std::size_t partition, base::position to);
    // One lock, one wake-up for all partitions; an empty element leaves its partition as it is.
    void advance_all(const std::array<std::optional<base::position>, partition_count>& to);
    // Forgets what was known (the rows went back: rebuild, a restored database). Waiters stay.
    void reset();

    // Returns as soon as `partition` has reached `at`. Errors: behind (the deadline passed;
    // retry_after_ms is set), exhausted, cancelled (stop()).
    [[nodiscard]] awaitable<base::status> wait(std::size_t partition, base::position at,
                                               milliseconds deadline);
    // The same for the owner's partition, and for all partitions.
    [[nodiscard]] awaitable<base::status> wait_owner(base::uuid owner, base::position at,
                                                     milliseconds deadline);
    [[nodiscard]] awaitable<base::status> wait_everywhere(base::position at, milliseconds deadline);

    [[nodiscard]] std::size_t waiting() const; // callers in wait() now
    void stop();                               // every wait answers cancelled

private:
    struct state;
    std::shared_ptr<state> state_;
};

// Reads the checkpoints while somebody waits (every `interval`), else every second.
class checkpoint_poller {
public:
    // `target`, `database` outlive it. Rows of another log than `log` are not taken.
    checkpoint_poller(boost::asio::any_io_executor executor, postgres::database& database,
                      progress& target, base::log_identity log,
                      milliseconds interval = milliseconds{10});
    ~checkpoint_poller();
    void start();
    awaitable<void> stop();

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace immortal::readmodel
