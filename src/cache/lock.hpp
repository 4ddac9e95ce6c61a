// Locks between processes, in Redis: lock:<resource>.
//
// A lock keeps two processes from doing the same work at once; it does not make anything correct by
// itself (a paused holder may wake up after its time). What must not happen twice rests on expected
// revisions or on the fencing token.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "redis/client.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace immortal::cache {

using boost::asio::awaitable;
using std::chrono::milliseconds;

// One held lock. Destroying it without release() leaves the rest to the time to live. Thread-safe.
class held_lock {
public:
    held_lock(const held_lock&) = delete;
    held_lock& operator=(const held_lock&) = delete;
    ~held_lock();

    // Greater than that of every earlier holder, also after Redis lost its data (it is at least
    // Redis' time in microseconds). Whoever is written to under the lock refuses smaller ones.
    [[nodiscard]] std::uint64_t fence() const noexcept;
    // False once the time to live may have passed or an extension was refused; never true again.
    [[nodiscard]] bool held() const;
    // Begins a new time to live. conflict: somebody else has it, or nobody; unavailable, timeout:
    // not known, `held` goes on until the time passes.
    awaitable<base::status> extend();
    // Extends every third of the time to live until release() or loss; then, on loss only, calls
    // `lost` once, from the lock's executor. Call at most once.
    void keep(std::function<void()> lost);
    // Gives it up if it is still ours. conflict: it was not.
    awaitable<base::status> release();

private:
    friend class lock_manager;
    struct state;
    explicit held_lock(std::shared_ptr<state> state);
    std::shared_ptr<state> state_;
};

class lock_manager {
public:
    static constexpr milliseconds default_ttl{30'000};

    // The references must outlive the manager and its locks.
    lock_manager(boost::asio::any_io_executor executor, redis::client& redis,
                 const base::clock& clock, base::random_source& random);

    // Tries until `wait` has passed (0: once). conflict: somebody else holds it. unavailable,
    // timeout: Redis did not answer; the lock may be held by nobody until its time passes.
    awaitable<base::result<std::unique_ptr<held_lock>>>
    acquire(std::string resource, milliseconds ttl = default_ttl, milliseconds wait = {});

private:
    boost::asio::any_io_executor executor_;
    redis::client* redis_;
    const base::clock* clock_;
    base::random_source* random_;
};

} // namespace immortal::cache
