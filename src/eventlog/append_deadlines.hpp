// Answers appends whose time is up, whatever the writer is doing: it may be stuck in a sync.
#pragma once

#include "eventlog/append_queue.hpp"

#include <optional>
#include <thread>

namespace immortal::base {
class metrics;
}

namespace immortal::eventlog {

// A thread that looks through the unanswered appends every `look_period` while there are any. An
// append that has not begun leaves the queue, its memory and charge are released, and it is
// answered `unavailable`; one that has is answered `unknown_outcome` and keeps both until the
// writer drops it.
class append_deadlines {
public:
    static constexpr std::chrono::milliseconds look_period{20};

    // All outlive it. `metrics` may be null.
    append_deadlines(append_queue& queue, const base::clock& clock, base::metrics* metrics);
    ~append_deadlines(); // stop()
    append_deadlines(const append_deadlines&) = delete;
    append_deadlines& operator=(const append_deadlines&) = delete;

    // Joins. Idempotent, one caller at a time.
    void stop();

private:
    struct meters;
    void run();

    append_queue& queue_;
    const base::clock& clock_;
    std::unique_ptr<meters> meters_;
    std::thread thread_;
};

// Nothing was done, and why.
[[nodiscard]] base::error withdrawn_error();

} // namespace immortal::eventlog
