// The time that events are stamped with and `$maxAge` is measured by: the machine's clock, but for
// its jumps.
//
// Wall clock and steady clock advance together; the wall clock alone jumps when somebody sets it,
// when NTP steps it, and when a suspended machine wakes up. Which of these it was cannot be seen at
// once, and a wrong stamp stays: times never decrease along the log, so that one event from the
// year 2040 gives its time to all that follow, and a scavenge that believes in 2040 removes what
// `$maxAge` would have kept. So a jump is told at once and believed late:
//
//   steady   the wall clock is where the steady clock says: it is followed, slewing included
//   held     it jumped by `jump_min` or more: the time goes on by the steady clock, an error is
//            logged, the gauge shows the jump. If the wall clock comes back, nothing happened.
//            Another jump begins the wait anew.
//   believed the jump has lasted for `hold`: the wall clock is followed again (a machine that woke
//            up, a clock that was wrong before). Said by a second error.
//
// A process that starts believes the machine. It says so if the log's newest event is later.
#pragma once

#include "base/clock.hpp"

#include <memory>
#include <mutex>
#include <optional>

namespace immortal::base {
class metrics;
}

namespace immortal::eventlog {

// Thread-safe. A jump is noticed when now() is called.
class event_clock final : public base::clock {
public:
    // `machine` and `metrics` (may be null) outlive it. `jump_min` 0: the machine is always right.
    event_clock(base::clock& machine, std::chrono::milliseconds jump_min,
                std::chrono::milliseconds hold, base::metrics* metrics);
    ~event_clock() override;
    event_clock(const event_clock&) = delete;
    event_clock& operator=(const event_clock&) = delete;

    [[nodiscard]] base::utc_time now() const override;
    [[nodiscard]] base::steady_time steady_now() const override { return machine_.steady_now(); }

    // Says it loudly if the newest event is later than now by a jump or more: events get its time
    // until the clock has caught up.
    void compare_with_log(base::utc_time newest_event) const;

private:
    struct meters;
    struct jump {
        base::steady_time since;
        std::chrono::microseconds ahead; // negative: back
    };
    [[nodiscard]] base::utc_time follow(base::utc_time wall, base::steady_time steady) const;
    void tell(const char* what, std::chrono::microseconds ahead) const;

    base::clock& machine_;
    std::chrono::microseconds jump_min_;
    std::chrono::microseconds hold_;
    std::unique_ptr<meters> meters_;
    mutable std::mutex mutex_;
    mutable base::utc_time last_wall_; // as it was given out, with the steady time of that moment
    mutable base::steady_time last_steady_;
    mutable std::optional<jump> held_;
};

} // namespace immortal::eventlog
