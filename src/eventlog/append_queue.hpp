// The bounded queue between those who append and the writer.
#pragma once

#include "eventlog/log.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace immortal::eventlog {

struct pending_append {
    std::vector<stream_write> writes;
    append_callback done;
    std::size_t bytes = 0;
};

// Thread-safe; one thread takes.
class append_queue {
public:
    explicit append_queue(const log_settings& settings) : settings_(settings) {}

    enum class push_outcome : std::uint8_t { taken, full, closed };
    // Leaves `item` as it is unless taken.
    push_outcome push(pending_append& item);

    // Waits for appends, at most `patience`, and takes up to a group of them. When some are there,
    // waits a little for as many as came last time: those who were just answered are likely to come
    // again. Empty: nothing came, or the queue is closed and empty.
    std::vector<pending_append> take(std::chrono::milliseconds patience);

    // No more pushes; take() no longer waits.
    void close();
    [[nodiscard]] bool closed() const;

private:
    const log_settings& settings_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<pending_append> waiting_;
    std::size_t bytes_ = 0;
    std::size_t last_group_ = 0;
    std::size_t wake_at_ = 0; // the taker sleeps until so many wait; 0: it does not sleep
    bool closed_ = false;
};

} // namespace immortal::eventlog
