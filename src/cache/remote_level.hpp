// The second level (L2): Redis behind compare-and-set, tickets, the generation and the lease.
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "cache/cache.hpp"
#include "cache/invalidation.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>

namespace immortal::cache {

// Thread-safe. No call fails: a Redis that does not answer finds nothing and keeps nothing. After a
// failure calls are skipped for a pause that doubles from 50 ms to 1 s, so that readers do not each
// wait for a Redis that hangs.
class remote_level {
public:
    struct found {
        std::optional<entry> value;
        std::string ticket; // not empty: the caller is asked to load and to fill
        std::string generation;
    };

    remote_level(redis::client& redis, const base::clock& clock, base::random_source& random,
                 base::metrics& metrics, const settings& options);

    awaitable<found> lookup(const key& where, std::optional<base::position> after);
    // What was loaded under the ticket of `from`. True: stored.
    awaitable<bool> fill(const key& where, const entry& value, const found& from);
    // Writes the changes and tells the channel. What fails makes Redis untrusted until renew().
    awaitable<void> freshen(std::span<const fresh_entry> changes);
    awaitable<bool> forget(const key& where);
    awaitable<base::result<std::uint64_t>> forget_matching(std::string pattern);

    // One sign of life of a freshening process; finds out that the lease or data were lost.
    awaitable<void> beat();
    // A new generation, after which Redis is trusted, unless something was missed meanwhile. False:
    // Redis did not answer, or another renewal is under way.
    awaitable<bool> renew();
    // Gives the lease back; without effect where something was missed.
    awaitable<void> release();

    // What this process's own readers may rely on.
    [[nodiscard]] bool trusted() const;
    [[nodiscard]] bool paused() const; // after a failure
    [[nodiscard]] bool usable() const; // trusted and not paused
    [[nodiscard]] bool freshens() const { return !options_.freshener.empty(); }
    void report(health_report& into) const;
    [[nodiscard]] const std::string& sender() const noexcept { return sender_; }

private:
    struct write_number {
        std::uint64_t least;
        std::uint64_t own;
    };
    awaitable<std::optional<redis::reply>> call(const redis::script& script,
                                                std::vector<std::string> keys,
                                                std::vector<std::string> values);
    awaitable<bool> freshen_some(std::span<const fresh_entry> changes);
    void failed(const base::error& e);
    void failed(const redis::reply& r);
    void pause();
    void note_missed();
    [[nodiscard]] write_number next_write();
    void acknowledged(const write_number& n);
    void remember_generation(const std::string& generation);
    [[nodiscard]] std::string ttl_text(const key& where, const entry& value);
    [[nodiscard]] std::string message(invalidation::kind what);

    redis::client& redis_;
    const base::clock& clock_;
    base::random_source& random_;
    const settings options_;
    const std::string identity_;
    const std::string sender_; // this start of this process, on the channel
    base::counter errors_;
    base::counter missed_writes_;
    base::counter renewals_;
    base::counter discarded_;

    std::atomic<std::int64_t> pause_until_{0}; // steady ticks
    std::atomic<std::int64_t> pause_ms_{0};
    std::atomic<std::uint64_t> missed_{1}; // a start has missed whatever came before it
    std::atomic<std::uint64_t> healed_{0};
    std::atomic<std::uint64_t> error_count_{0};
    std::atomic<std::uint64_t> sequence_;
    std::atomic<std::uint64_t> acknowledged_{0};
    std::atomic<bool> renewing_{false};
    mutable std::mutex mutex_;
    std::string generation_; // under mutex_
};

} // namespace immortal::cache
