// Whether the guardian process still does in time what it has been asked for.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace immortal::runtime {

// A state machine without a clock or a process: the server's own view of the deadlines that it has
// set. When one has passed, the guardian is woken (it may be stopped, and is then past its own
// deadline, so that it kills its children); when that has not helped, it has to be killed, if it
// did not even answer. One that did answer has something that cannot be killed (it waits for a
// disk): then nobody waits any longer. One thread at a time.
class guardian_watch {
public:
    using time_point = std::chrono::steady_clock::time_point;
    enum class step : std::uint8_t { none, wake, give_up, kill };

    // How long a guardian that was woken may take.
    static constexpr std::chrono::milliseconds grace{1'500};

    // No child runs any more then. The earliest one counts.
    void limit_children(time_point due) { children_due_ = earlier(children_due_, due); }
    // The guardian itself has ended then. The earliest one counts.
    void limit_guardian(time_point due) { guardian_due_ = earlier(guardian_due_, due); }

    [[nodiscard]] std::optional<time_point> children_due() const { return children_due_; }

    // What has to be done at `now`; each step is told once.
    [[nodiscard]] step next_step(time_point now, bool has_children) {
        const auto due = applicable(has_children);
        if (!due || now < *due) {
            woken_.reset(); // it did what it had to do
            return step::none;
        }
        if (!woken_) {
            woken_ = now;
            answered_ = false;
            last_.reset();
            return step::wake;
        }
        if (last_ || now < *woken_ + grace) {
            return step::none;
        }
        last_ = answered_ ? step::give_up : step::kill;
        return *last_;
    }

    // It has answered a wake. Precondition: not an answer from before the latest next_step().
    void note_answer() { answered_ = true; }

    // Whether the deadline that has passed is not waited for any longer. As of next_step().
    [[nodiscard]] bool has_given_up() const { return woken_ && last_ == step::give_up; }

    // When next_step() has to be asked again; empty: not before something changes.
    [[nodiscard]] std::optional<time_point> next_time(bool has_children) const {
        const auto due = applicable(has_children);
        if (!due || (woken_ && last_)) {
            return std::nullopt;
        }
        return woken_ ? *woken_ + grace : *due;
    }

private:
    static time_point earlier(std::optional<time_point> one, time_point other) {
        return std::min(one.value_or(other), other);
    }
    [[nodiscard]] std::optional<time_point> applicable(bool has_children) const {
        if (!has_children || !children_due_) {
            return guardian_due_;
        }
        return earlier(guardian_due_, *children_due_);
    }

    std::optional<time_point> children_due_;
    std::optional<time_point> guardian_due_;
    std::optional<time_point> woken_; // for the deadline that has passed
    bool answered_ = false;           // since then
    std::optional<step> last_;        // for that deadline
};

} // namespace immortal::runtime
