// The layered cache: in-process (L1), Redis (L2), and a loader that asks the read model.
//
// What it promises
//   * A newer value is never replaced by an older one, in either level (compare on position).
//   * A value that a loader read before somebody freshened it is returned to that loader's caller
//     but never kept.
//   * Losing Redis, finding it empty, or finding it with older data costs speed, never truth. Every
//     freshening process holds a lease with a sequence number in Redis; a missed or lost write
//     changes the generation, which makes every entry written before it a miss. Other processes see
//     a value that misses a change for at most `lease`.
//   * In process a value lives at most `local_unconfirmed`, unless invalidations are confirmed.
//   * Only log-derived values of this log (id, epoch) are served.
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "cache/cache_class.hpp"
#include "cache/entry.hpp"
#include "redis/client.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::cache {

using boost::asio::awaitable;

// Reads the value from its source, waiting until the source has reached `after`. Called in the
// coroutine of a `get_or_load` and not kept beyond it; it may refer to that caller's objects. A
// thing that does not exist is an `entry` with `absent`, not an error.
using loader = std::function<awaitable<base::result<entry>>(std::optional<base::position> after)>;

struct settings {
    base::log_identity identity;
    // This process freshens under this name (stable over restarts, unique among processes). Empty:
    // it only reads.
    std::string freshener = {};
    // No other process changes the read model: what this one freshens is all there is, so L1 is
    // always confirmed.
    bool exclusive = false;
    // Upper bound of the in-process entries of each class, where the class's own is greater.
    std::size_t local_entries_max = std::numeric_limits<std::size_t>::max();
    milliseconds local_unconfirmed{1000}; // age of L1 entries while invalidations are not confirmed
    milliseconds heartbeat{500};
    milliseconds lease{2000};
    milliseconds ticket_ttl{10'000};
    milliseconds flight_wait{
        5000}; // a reader waits this long for another's load, then loads itself
};

struct health_report {
    bool redis_available = false; // connected
    bool redis_trusted = false;   // its entries are served
    bool local_confirmed = false; // L1 may keep entries longer than `local_unconfirmed`
    std::uint64_t missed = 0;     // freshenings that may not have reached Redis, since start
    std::uint64_t errors = 0;     // failed Redis calls, since start
    std::string generation;       // the one in force, as far as known
};

// Channel on which processes tell each other what changed: make the subscriber with it.
constexpr std::string_view invalidation_channel = "cache:invalidate";

// Thread-safe; coroutines run on the caller's executor. The references given to the constructor
// must outlive the cache.
class layered_cache {
public:
    // `redis` and `subscriber` may be null: then only L1 works.
    layered_cache(boost::asio::any_io_executor executor, redis::client* redis,
                  std::unique_ptr<redis::subscriber> subscriber, const base::clock& clock,
                  base::random_source& random, base::metrics& metrics, settings settings);
    ~layered_cache(); // after stop()
    layered_cache(const layered_cache&) = delete;
    layered_cache& operator=(const layered_cache&) = delete;

    // Begins to listen for invalidations and, in a freshening process, to hold the lease.
    void start();
    // Ends both; a freshening process gives its lease back.
    awaitable<void> stop();

    // L1 only, without waiting. Empty: not there, or not new enough.
    [[nodiscard]] std::optional<entry> peek(const key& where,
                                            std::optional<base::position> after = {});

    // L1, then Redis, then `load`. A value passes if its as_of or its position is at least `after`.
    // Of several readers of one key in this process one loads and the others wait for it (at most
    // `flight_wait`). Errors are those of `load`; Redis adds none.
    awaitable<base::result<entry>> get_or_load(key where, std::optional<base::position> after,
                                               loader load);

    // Puts committed changes into both levels, by the class's write strategy, and tells the other
    // processes. Never deletes. Cannot fail: what may have been missed in Redis makes everything
    // there untrusted until the generation was changed. Call it in commit order per key or not:
    // older values lose.
    awaitable<void> freshen(std::vector<fresh_entry> changes);

    // Removes a value that is not derived from the log (a session) everywhere. False: Redis could
    // not be told; its copy lives at most the class's time to live.
    awaitable<bool> forget(key where);
    // Removes the Redis keys that match a glob pattern, by SCAN, and empties every L1. Locks,
    // leaderboards and the cache's own keys are never removed. How many were removed.
    awaitable<base::result<std::uint64_t>> forget_matching(std::string pattern);

    // What `warm_up` calls under a key's text, for example "config:game". Register before start().
    void register_warm_up(std::string name, std::function<awaitable<base::status>()> fill);
    // Runs all of them, in the order of registration; how many succeeded. Failures are logged.
    awaitable<std::size_t> warm_up();

    // Called after the generation was changed (Redis may have lost or missed data). Register before
    // start().
    void on_generation_change(std::function<awaitable<void>()> react);

    [[nodiscard]] health_report health() const;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace immortal::cache
