// The bounded queue between those who append and the writer, and the one answer of each append.
#pragma once

#include "eventlog/log.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace immortal::eventlog {

// The answer of one append, which two may give: the writer, and whoever watches the deadlines. The
// first one counts. Thread-safe.
class append_ticket {
public:
    append_ticket(append_callback callback, base::steady_time deadline)
        : callback_(std::move(callback)), deadline_(deadline) {}

    // Calls the callback unless it was called before. True: it was called now.
    bool answer(base::result<append_outcome> outcome);
    [[nodiscard]] bool answered() const { return answered_.load(std::memory_order_acquire); }
    [[nodiscard]] base::steady_time deadline() const { return deadline_; }

private:
    append_callback callback_;
    base::steady_time deadline_;
    std::atomic<bool> answered_{false};
};

struct pending_append {
    std::vector<stream_write> writes;
    std::shared_ptr<append_ticket> ticket;
    std::shared_ptr<void> charge;                          // append_terms
    std::shared_ptr<std::vector<unmet_expectation>> unmet; // append_terms
    std::size_t frame_bytes = 0;                           // in the log
    std::size_t memory_bytes = 0;                          // of the writes, until they are dropped
};

// Thread-safe; one thread takes, one thread watches.
class append_queue {
public:
    explicit append_queue(const log_settings& settings) : settings_(settings) {}

    enum class push_outcome : std::uint8_t { taken, full, closed };
    // Leaves `item` as it is unless taken.
    push_outcome push(pending_append& item);

    // Waits for appends, at most `patience`, and takes up to a group of them: they have begun. When
    // some are there, waits a little for as many as came last time: those who were just answered
    // are likely to come again. Empty: nothing came, or the queue is closed and empty.
    std::vector<pending_append> take(std::chrono::milliseconds patience);

    // What is late at `now`: appends that have not begun, which are no longer in the queue, and the
    // tickets of those that have and are not answered.
    struct late_appends {
        std::vector<pending_append> withdrawn;
        std::vector<std::shared_ptr<append_ticket>> begun;
    };
    [[nodiscard]] late_appends withdraw_late(base::steady_time now);
    // Waits until an append is without its answer, then for `period`. False: end_watch() was
    // called.
    [[nodiscard]] bool wait_for_unanswered(std::chrono::milliseconds period);
    void end_watch();

    // No more pushes; take() no longer waits.
    void close();
    [[nodiscard]] bool closed() const;

private:
    void drop_answered(); // under `mutex_`

    const log_settings& settings_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<pending_append> waiting_;
    std::size_t memory_bytes_ = 0;                      // of `waiting_`
    std::vector<std::shared_ptr<append_ticket>> begun_; // taken; answered ones leave now and then
    std::size_t last_group_ = 0;
    std::size_t wake_at_ = 0; // the taker sleeps until so many wait; 0: it does not sleep
    bool closed_ = false;
    std::condition_variable watch_changed_;
    bool watcher_sleeps_ = false; // until there is something to watch
    bool watch_ended_ = false;
};

} // namespace immortal::eventlog
