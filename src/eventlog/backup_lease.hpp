// One writer at a time in a backup target, by a lease that stands in the target itself.
//
//   leases/<generation, 10 digits>.json     the highest generation counts
//
// A lease is taken by making the next generation, which only one of several succeeds in, renewed by
// writing it again, and given back by writing that it is free. A generation is removed only when a
// higher one is there, so that nobody's lease is ever taken for another's.
//
// Clocks of two machines are not compared to find out whether a holder lives: who waits for a lease
// sees it unchanged for the whole time that it names, by the steady clock of the one who waits.
// Taken at once are: a lease that was last renewed an hour before its time is over; one whose
// holder is a process that has ended, as far as that can be told (lease_options::is_gone); and one
// that cannot be read. The last is of a maker that failed, or of one that still writes it: that one
// finds the higher generation when it has written, and gives way; and if it had written before the
// higher one was made, whoever made that finds it readable, and gives way.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "eventlog/backup_target.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::eventlog {

struct lease_options {
    std::string holder = "an unnamed process"; // for the sentence that others get
    // How long the target stays reserved when the holder is gone. Renewed after a quarter of it; a
    // single step of the work that takes longer loses the lease.
    std::chrono::seconds time{120};
    // Names the holder's process to others on its machine; empty: it cannot be told.
    std::string process = {};
    // Whether the process of that name has certainly ended. None: that is never known.
    std::function<bool(std::string_view process)> is_gone = {};
    // Whether the work is to end: keep() then fails. None: never.
    std::function<bool()> is_stopped = {};
    // Blocks for so long while the named holder is watched; false: give up. None: a lease that is
    // held is not waited for.
    std::function<bool(std::chrono::milliseconds, std::string_view holder)> wait = {};
};

// Not thread-safe. A lease that is destroyed without release() is held until its time is over.
class backup_lease {
public:
    // `work`: what it is taken for. What interrupted ones left half stored in the target is
    // removed. Errors: already_exists with reason "in_use" (another one works in the target; the
    // message names it), cancelled, those of the target.
    [[nodiscard]] static base::result<backup_lease>
    take(backup_target& target, base::clock& clock, std::string work, const lease_options& options);

    // Renews the lease if it is due; cheap if not. Errors: conflict with reason "lease_lost",
    // cancelled (lease_options::is_stopped), those of the target.
    [[nodiscard]] base::status keep();
    // Whether it is still held, by a look into the target. Errors: as keep().
    [[nodiscard]] base::status check();
    // Gives it back, also on a disk that is full; if that fails, others wait for its time.
    void release();

private:
    struct record {
        std::string holder;
        std::string work;
        std::string process;
        bool held = false;
        std::uint64_t renewals = 0;
        base::utc_time renewed{};
        std::chrono::seconds time{};
    };
    struct seen; // what the one who waits knows of a lease
    enum class standing : std::uint8_t { held, free, unreadable };

    backup_lease(backup_target& target, base::clock& clock, record own, std::uint64_t generation,
                 std::function<bool()> is_stopped)
        : target_(&target), clock_(&clock), own_(std::move(own)), generation_(generation),
          kept_(clock.steady_now()), is_stopped_(std::move(is_stopped)) {}

    static std::string name_of(std::uint64_t generation);
    static std::string text_of(const record& one);
    static std::optional<record> parse(std::span<const std::byte> bytes);
    static base::result<std::uint64_t> highest(backup_target& target);
    static base::result<standing> look(backup_target& target, base::clock& clock,
                                       std::uint64_t generation, const lease_options& options,
                                       seen& known);
    static base::result<standing> wait(base::clock& clock, std::uint64_t generation,
                                       std::span<const std::byte> bytes, const record& holder,
                                       const lease_options& options, seen& known);
    static base::result<bool> make(backup_target& target, const record& own,
                                   std::uint64_t generation, standing before);
    static base::status clean_up(backup_target& target, std::uint64_t last);
    base::status write();

    backup_target* target_;
    base::clock* clock_;
    record own_;
    std::uint64_t generation_;
    base::steady_time kept_;
    std::function<bool()> is_stopped_;
};

} // namespace immortal::eventlog
