#include "eventlog/segment.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

constexpr std::uint64_t mark_distance = 64u << 10u;

} // namespace

void segment::note_frame(base::position begin) {
    IMMORTAL_ASSERT(begin >= first_frame());
    const std::lock_guard lock(mutex_);
    const std::uint64_t last = marks_.empty() ? first_frame().value : marks_.back().value;
    IMMORTAL_ASSERT(begin.value >= last);
    if (begin.value - last >= mark_distance) {
        marks_.push_back(begin);
    }
}

void segment::forget_frames_from(base::position end) {
    const std::lock_guard lock(mutex_);
    while (!marks_.empty() && marks_.back() >= end) {
        marks_.pop_back();
    }
}

base::position segment::mark_at_or_before(base::position at) const {
    const std::lock_guard lock(mutex_);
    const auto after = std::ranges::upper_bound(marks_, at);
    return after == marks_.begin() ? first_frame() : *std::prev(after);
}

void segment_list::add(std::shared_ptr<segment> next) {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(segments_.empty() || (next->number() == segments_.back()->number() + 1 &&
                                          next->first() > segments_.back()->first()));
    segments_.push_back(std::move(next));
}

std::shared_ptr<segment> segment_list::find(base::position at) const {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(!segments_.empty());
    const auto after = std::ranges::upper_bound(
        segments_, at, {}, [](const std::shared_ptr<segment>& one) { return one->first(); });
    return after == segments_.begin() ? *after : *std::prev(after);
}

std::shared_ptr<segment> segment_list::before(const segment& one) const {
    const std::lock_guard lock(mutex_);
    const std::size_t index = one.number() - segments_.front()->number();
    return index == 0 ? nullptr : segments_[index - 1];
}

std::shared_ptr<segment> segment_list::last() const {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(!segments_.empty());
    return segments_.back();
}

std::optional<base::position> segment_list::end_of(const segment& one) const {
    const std::lock_guard lock(mutex_);
    const std::size_t index = one.number() - segments_.front()->number();
    IMMORTAL_ASSERT(index < segments_.size());
    return index + 1 < segments_.size() ? std::optional(segments_[index + 1]->first())
                                        : std::nullopt;
}

} // namespace immortal::eventlog
