// How a stop divides the time that it has.
#pragma once

#include <algorithm>
#include <chrono>

namespace immortal::app {

// One deadline for a whole stop, taken when it begins. Whoever waits during the stop waits until
// one of these points, so that limits do not add up.
class stop_schedule {
public:
    using milliseconds = std::chrono::milliseconds;
    using time_point = std::chrono::steady_clock::time_point;

    explicit stop_schedule(milliseconds total)
        : begin_(std::chrono::steady_clock::now()), total_(total),
          reserve_(std::min(milliseconds(2'000), total / 5)) {}

    // Requests and calls are let finish until then; the rest is for what has to end after them.
    [[nodiscard]] time_point requests() const { return begin_ + (total_ - reserve_) * 3 / 4; }
    // What works for the requests ends until then: PostgreSQL and Redis are killed, whoever waits
    // for them is cut off. What is left of the whole is for closing the event log.
    [[nodiscard]] time_point services() const { return begin_ + total_ - reserve_; }

    // From now; not below zero.
    [[nodiscard]] static milliseconds left_until(time_point point) {
        const auto left = std::chrono::ceil<milliseconds>(point - std::chrono::steady_clock::now());
        return std::max(left, milliseconds(0));
    }

private:
    time_point begin_;
    milliseconds total_;
    milliseconds reserve_;
};

} // namespace immortal::app
