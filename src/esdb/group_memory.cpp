#include "esdb/group_memory.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::size_t woken_at_once = 16; // the next ones at the next release
constexpr std::size_t looked_at_once = 64;

} // namespace

group_memory::group_memory(std::size_t bytes_max, base::metrics* metrics)
    : bytes_max_(bytes_max), common_(bytes_max - bytes_max / 4) {
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

std::size_t group_memory::reading() const {
    const std::lock_guard lock(mutex_);
    return reading_;
}

std::size_t group_memory::fair() const {
    return bytes_max_ / 4 / std::max<std::size_t>(1, shares_);
}

std::size_t group_memory::room_of(const share& one, need why) const {
    const std::size_t all = held_ + reading_;
    const std::size_t first_come = all < common_ ? common_ - all : 0;
    if (why == need::ahead) {
        return urgent_.empty() ? first_come : 0;
    }
    if (all >= bytes_max_) {
        return 0;
    }
    const std::size_t own = one.all() < fair() ? fair() - one.all() : 0;
    return std::max({first_come, own, std::size_t{one.all() == 0 ? 1u : 0u}});
}

void group_memory::wake_some() {
    for (auto* queue : {&urgent_, &ahead_}) {
        std::size_t woken = 0;
        std::size_t looked = 0;
        for (auto next = queue->begin();
             next != queue->end() && woken < woken_at_once && looked < looked_at_once; ++looked) {
            share& one = **next;
            ++next; // before it may leave
            if (room_of(one, one.need_) > 0) {
                leave_queue(one);
                one.wake_();
                ++woken;
            }
        }
    }
}

void group_memory::wake_if_room(share& one) {
    if (one.waiting_ && room_of(one, one.need_) > 0) {
        leave_queue(one);
        one.wake_();
    }
}

void group_memory::enter_queue(share& one, need why) {
    if (one.waiting_ && one.need_ == why) {
        return;
    }
    leave_queue(one);
    auto& queue = why == need::urgent ? urgent_ : ahead_;
    one.need_ = why;
    one.waiting_ = queue.insert(queue.end(), &one);
    urgent_waits_ = !urgent_.empty();
    if (waits_) {
        waits_->add();
    }
}

void group_memory::leave_queue(share& one) {
    if (one.waiting_) {
        (one.need_ == need::urgent ? urgent_ : ahead_).erase(*one.waiting_);
        one.waiting_.reset();
        urgent_waits_ = !urgent_.empty();
    }
}

void group_memory::tell() {
    if (held_gauge_) {
        held_gauge_->set(static_cast<double>(held_));
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
    for (auto next = memory_.urgent_.begin(); next != memory_.urgent_.end();) {
        share& one = **next;
        ++next; // before it may leave
        memory_.wake_if_room(one);
    }
    memory_.wake_some();
}

void group_memory::share::hold(std::size_t bytes, std::size_t reading) {
    const std::lock_guard lock(memory_.mutex_);
    if (bytes == held_ && reading == reading_) {
        return;
    }
    IMMORTAL_ASSERT(memory_.held_ >= held_ && memory_.reading_ >= reading_);
    const bool less = bytes + reading < all();
    memory_.held_ = memory_.held_ - std::exchange(held_, bytes) + bytes;
    memory_.reading_ = memory_.reading_ - std::exchange(reading_, reading) + reading;
    memory_.tell();
    if (less) {
        memory_.wake_if_room(*this);
        memory_.wake_some();
    }
}

std::size_t group_memory::share::room(need why) {
    const std::lock_guard lock(memory_.mutex_);
    const std::size_t bytes = memory_.room_of(*this, why);
    if (bytes == 0) {
        memory_.enter_queue(*this, why);
    } else {
        memory_.leave_queue(*this);
    }
    return bytes;
}

std::size_t group_memory::share::take(std::span<const std::size_t> sizes, need why) {
    const std::lock_guard lock(memory_.mutex_);
    const std::size_t room = memory_.room_of(*this, why);
    if (room == 0) {
        memory_.enter_queue(*this, why);
        return 0;
    }
    memory_.leave_queue(*this);
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < sizes.size() && (count == 0 || bytes + sizes[count] <= room)) {
        bytes += sizes[count++];
    }
    reading_ += bytes;
    memory_.reading_ += bytes;
    return count;
}

void group_memory::share::not_urgent() {
    const std::lock_guard lock(memory_.mutex_);
    if (need_ == need::urgent) {
        memory_.leave_queue(*this);
    }
}

bool group_memory::share::asked_to_let_go() const {
    if (!memory_.urgent_waits_) { // asked for each message that is sent
        return false;
    }
    const std::lock_guard lock(memory_.mutex_);
    return !memory_.urgent_.empty() && all() > memory_.fair();
}

} // namespace immortal::esdb
