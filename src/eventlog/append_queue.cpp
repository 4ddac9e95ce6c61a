#include "eventlog/append_queue.hpp"

#include <algorithm>
#include <utility>

namespace immortal::eventlog {

append_queue::push_outcome append_queue::push(pending_append& item) {
    bool wake = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return push_outcome::closed;
        }
        if (waiting_.size() >= settings_.queue_appends_max ||
            (!waiting_.empty() && bytes_ + item.bytes > settings_.queue_bytes_max)) {
            return push_outcome::full;
        }
        bytes_ += item.bytes;
        waiting_.push_back(std::move(item));
        wake = wake_at_ > 0 && waiting_.size() >= wake_at_;
        wake_at_ = wake ? 0 : wake_at_;
    }
    if (wake) {
        changed_.notify_one();
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
    std::size_t taken = 0;
    while (!waiting_.empty() && group.size() < settings_.group_appends_max &&
           (group.empty() || taken + waiting_.front().bytes <= settings_.group_bytes_max)) {
        taken += waiting_.front().bytes;
        group.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    bytes_ -= taken;
    last_group_ = group.size();
    return group;
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
