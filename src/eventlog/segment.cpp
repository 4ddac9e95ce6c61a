#include "eventlog/segment.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::eventlog {
void segment_list::add(std::shared_ptr<segment> next) {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(segments_.empty() || (next->number() == segments_.back()->number() + 1 &&
                                          next->first() > segments_.back()->first()));
    if (!segments_.empty()) {
        segments_.back()->seal(sealed_, folder_);
    }
    segments_.push_back(std::move(next));
}

void segment_list::replace(std::shared_ptr<segment> same) {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(!segments_.empty());
    const std::size_t index = same->number() - segments_.front()->number();
    IMMORTAL_ASSERT(index < segments_.size() && segments_[index]->first() == same->first());
    IMMORTAL_ASSERT(index + 1 < segments_.size()); // the last one is written
    same->seal(sealed_, folder_);
    segments_[index]->release_file(); // who reads it next opens the new one
    segments_[index] = std::move(same);
}

std::vector<std::shared_ptr<segment>> segment_list::all() const {
    const std::lock_guard lock(mutex_);
    return segments_;
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
