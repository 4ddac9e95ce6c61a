#include "eventlog/event_clock.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"

namespace immortal::eventlog {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::seconds;

constexpr int readings_max = 4;

} // namespace

struct event_clock::meters {
    explicit meters(base::metrics& target)
        : jump(target.make_gauge("immortal_eventlog_clock_jump_seconds",
                                 "How far the machine's clock is from the time that events are "
                                 "stamped with, while a jump of it is not believed")),
          jumps(target.make_counter("immortal_eventlog_clock_jumps_total",
                                    "Jumps of the machine's clock that were noticed")) {}
    base::gauge jump;
    base::counter jumps;
};

event_clock::event_clock(base::clock& machine, std::chrono::milliseconds jump_min,
                         std::chrono::milliseconds hold, base::metrics* metrics)
    : machine_(machine), jump_min_(jump_min), hold_(hold),
      meters_(metrics == nullptr ? nullptr : std::make_unique<meters>(*metrics)),
      last_wall_(machine.now()), last_steady_(machine.steady_now()) {
    IMMORTAL_ASSERT(jump_min_.count() >= 0 && hold_.count() >= 0);
}

event_clock::~event_clock() = default;

base::utc_time event_clock::now() const {
    if (jump_min_.count() == 0) {
        return machine_.now();
    }
    const std::lock_guard lock(mutex_); // also around the readings: they must not pass each other
    base::steady_time steady;
    base::utc_time wall;
    int readings = 0;
    do { // a thread that was stopped between them would see a jump
        steady = machine_.steady_now();
        wall = machine_.now();
    } while (++readings < readings_max && machine_.steady_now() - steady >= jump_min_ / 2);
    IMMORTAL_ASSERT(steady >= last_steady_);
    last_wall_ = follow(wall, steady);
    last_steady_ = steady;
    return last_wall_;
}

base::utc_time event_clock::follow(base::utc_time wall, base::steady_time steady) const {
    const base::utc_time expected = last_wall_ + duration_cast<microseconds>(steady - last_steady_);
    const microseconds ahead = wall - expected;
    if (std::chrono::abs(ahead) < jump_min_) {
        if (held_) {
            tell("the machine's clock is right again", ahead);
            held_.reset();
        }
        return wall;
    }
    if (!held_ || std::chrono::abs(ahead - held_->ahead) >= jump_min_) {
        held_ = jump{steady, ahead};
        if (meters_) {
            meters_->jumps.add();
        }
        tell("the machine's clock jumped: events are stamped by the time that went by; set the "
             "clock right, or the jump is believed when it has lasted for the time of "
             "event_log.clock_hold_seconds",
             ahead);
    }
    if (steady - held_->since < hold_) {
        return expected;
    }
    held_.reset();
    tell("a jump of the machine's clock is believed now", ahead);
    return wall;
}

void event_clock::tell(const char* what, microseconds ahead) const {
    if (meters_) {
        meters_->jump.set(held_ ? std::chrono::duration<double>(ahead).count() : 0);
    }
    base::log_error("eventlog", what, {{"seconds", duration_cast<seconds>(ahead).count()}});
}

void event_clock::compare_with_log(base::utc_time newest_event) const {
    const microseconds ahead = newest_event - now();
    if (jump_min_.count() > 0 && ahead >= jump_min_) {
        base::log_error("eventlog",
                        "the newest event is later than the machine's clock, which was wrong when "
                        "it was written or is wrong now: events get its time until the clock is "
                        "there",
                        {{"seconds", duration_cast<seconds>(ahead).count()}});
    }
}

} // namespace immortal::eventlog
