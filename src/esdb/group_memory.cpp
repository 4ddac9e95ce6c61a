#include "esdb/group_memory.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::size_t woken_at_once = 16; // the next ones at the next release

} // namespace

group_memory::group_memory(std::size_t bytes_max, base::metrics* metrics)
    : common_(bytes_max - bytes_max / 4), even_(bytes_max / 4) {
    if (metrics != nullptr) {
        held_gauge_ = metrics->make_gauge("immortal_esdb_group_events_bytes",
                                          "Events held for consumers of persistent subscriptions.");
        waits_ = metrics->make_counter(
            "immortal_esdb_group_memory_waits_total",
            "Times a persistent subscription waited because all of them hold too much.");
    }
}

std::size_t group_memory::held() const {
    const std::lock_guard lock(mutex_);
    return held_;
}

std::size_t group_memory::room_of(const share& one) const {
    const std::size_t fair = even_ / std::max<std::size_t>(1, shares_);
    const std::size_t first_come = held_ < common_ ? common_ - held_ : 0;
    const std::size_t own = one.held_ < fair ? fair - one.held_ : 0;
    return std::max({first_come, own, std::size_t{one.held_ == 0 ? 1u : 0u}});
}

void group_memory::wake_some() {
    for (std::size_t woken = 0; woken < woken_at_once && !queue_.empty(); ++woken) {
        share& first = *queue_.front();
        if (room_of(first) == 0) {
            return;
        }
        leave_queue(first);
        first.wake_();
    }
}

void group_memory::wake_if_room(share& one) {
    if (one.waiting_ && room_of(one) > 0) {
        leave_queue(one);
        one.wake_();
    }
}

void group_memory::leave_queue(share& one) {
    if (one.waiting_) {
        queue_.erase(*one.waiting_);
        one.waiting_.reset();
    }
}

group_memory::share::share(group_memory& memory, std::function<void()> wake)
    : memory_(memory), wake_(std::move(wake)) {
    const std::lock_guard lock(memory_.mutex_);
    ++memory_.shares_;
}

group_memory::share::~share() {
    {
        const std::lock_guard lock(memory_.mutex_);
        memory_.leave_queue(*this); // nobody is woken who ends
    }
    hold(0);
    const std::lock_guard lock(memory_.mutex_);
    IMMORTAL_ASSERT(memory_.shares_ > 0);
    --memory_.shares_;
    for (auto next = memory_.queue_.begin(); next != memory_.queue_.end();) {
        share& one = **next;
        ++next; // before it may leave
        memory_.wake_if_room(one);
    }
}

void group_memory::share::hold(std::size_t bytes) {
    const std::lock_guard lock(memory_.mutex_);
    if (bytes == held_) {
        return;
    }
    IMMORTAL_ASSERT(memory_.held_ >= held_);
    memory_.held_ = memory_.held_ - held_ + bytes;
    const bool less = bytes < std::exchange(held_, bytes);
    if (memory_.held_gauge_) {
        memory_.held_gauge_->set(static_cast<double>(memory_.held_));
    }
    if (less) {
        memory_.wake_if_room(*this);
        memory_.wake_some();
    }
}

std::size_t group_memory::share::room() {
    const std::lock_guard lock(memory_.mutex_);
    const std::size_t bytes = memory_.room_of(*this);
    if (bytes == 0 && !waiting_) {
        waiting_ = memory_.queue_.insert(memory_.queue_.end(), this);
        if (memory_.waits_) {
            memory_.waits_->add();
        }
    }
    return bytes;
}

} // namespace immortal::esdb
