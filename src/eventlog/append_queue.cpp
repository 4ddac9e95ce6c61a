#include "eventlog/append_queue.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace immortal::eventlog {

bool append_ticket::answer(base::result<append_outcome> outcome) {
    if (answered_.exchange(true, std::memory_order_acq_rel)) {
        return false;
    }
    IMMORTAL_ASSERT(callback_ != nullptr);
    // Moved away: what the callback holds goes with the answer, not with the writer's group.
    const append_callback callback = std::exchange(callback_, nullptr);
    callback(std::move(outcome));
    return true;
}

append_queue::push_outcome append_queue::push(pending_append& item) {
    IMMORTAL_ASSERT(item.ticket != nullptr && item.frame_bytes > 0 && item.memory_bytes > 0);
    bool wake = false;
    bool wake_watcher = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return push_outcome::closed;
        }
        if (waiting_.size() >= settings_.queue_appends_max ||
            (!waiting_.empty() && memory_bytes_ + item.memory_bytes > settings_.queue_bytes_max)) {
            return push_outcome::full;
        }
        memory_bytes_ += item.memory_bytes;
        waiting_.push_back(std::move(item));
        wake = wake_at_ > 0 && waiting_.size() >= wake_at_;
        wake_at_ = wake ? 0 : wake_at_;
        wake_watcher = std::exchange(watcher_sleeps_, false);
    }
    if (wake) {
        changed_.notify_one();
    }
    if (wake_watcher) {
        watch_changed_.notify_one();
    }
    return push_outcome::taken;
}

std::vector<pending_append> append_queue::take(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    const auto wait_for = [&](std::size_t count, auto limit) {
        wake_at_ = count;
        changed_.wait_for(lock, limit, [&] { return closed_ || waiting_.size() >= count; });
        wake_at_ = 0;
    };
    wait_for(1, patience);
    const std::size_t as_before = std::min(last_group_, settings_.group_appends_max);
    if (waiting_.size() < as_before && !waiting_.empty()) {
        wait_for(as_before, settings_.group_wait_max);
    }
    std::vector<pending_append> group;
    std::size_t frame_bytes = 0;
    std::size_t memory_bytes = 0;
    while (!waiting_.empty() && group.size() < settings_.group_appends_max &&
           (group.empty() ||
            frame_bytes + waiting_.front().frame_bytes <= settings_.group_bytes_max)) {
        frame_bytes += waiting_.front().frame_bytes;
        memory_bytes += waiting_.front().memory_bytes;
        group.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    IMMORTAL_ASSERT(memory_bytes <= memory_bytes_);
    memory_bytes_ -= memory_bytes;
    IMMORTAL_ASSERT(!waiting_.empty() || memory_bytes_ == 0);
    last_group_ = group.size();
    if (begun_.size() >= 4 * settings_.group_appends_max) {
        drop_answered();
    }
    for (const pending_append& item : group) {
        IMMORTAL_ASSERT(!item.ticket->answered()); // whoever withdraws takes it out of the queue
        begun_.push_back(item.ticket);
    }
    return group;
}

void append_queue::drop_answered() {
    std::erase_if(begun_, [](const auto& ticket) { return ticket->answered(); });
}

append_queue::late_appends append_queue::withdraw_late(base::steady_time now) {
    late_appends late;
    const std::lock_guard lock(mutex_);
    drop_answered();
    for (const auto& ticket : begun_) {
        if (ticket->deadline() <= now) {
            late.begun.push_back(ticket);
        }
    }
    const auto is_late = [now](const pending_append& item) {
        return item.ticket->deadline() <= now;
    };
    if (std::ranges::any_of(waiting_, is_late)) {
        std::deque<pending_append> kept;
        for (pending_append& item : waiting_) {
            if (is_late(item)) {
                IMMORTAL_ASSERT(item.memory_bytes <= memory_bytes_);
                memory_bytes_ -= item.memory_bytes;
                late.withdrawn.push_back(std::move(item));
            } else {
                kept.push_back(std::move(item));
            }
        }
        waiting_ = std::move(kept);
    }
    IMMORTAL_ASSERT(!waiting_.empty() || memory_bytes_ == 0);
    return late;
}

bool append_queue::wait_for_unanswered(std::chrono::milliseconds period) {
    std::unique_lock lock(mutex_);
    drop_answered();
    while (waiting_.empty() && begun_.empty() && !watch_ended_) {
        watcher_sleeps_ = true;
        watch_changed_.wait(lock, [this] { return watch_ended_ || !watcher_sleeps_; });
        watcher_sleeps_ = false;
    }
    watch_changed_.wait_for(lock, period, [this] { return watch_ended_; });
    return !watch_ended_;
}

void append_queue::end_watch() {
    {
        const std::lock_guard lock(mutex_);
        watch_ended_ = true;
    }
    watch_changed_.notify_all();
}

void append_queue::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    changed_.notify_all();
}

bool append_queue::closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
}

} // namespace immortal::eventlog
