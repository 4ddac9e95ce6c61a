#include "eventlog/large_frames.hpp"

#include "base/assert.hpp"
#include "eventlog/format.hpp"

#include <algorithm>

namespace immortal::eventlog {

std::list<large_frames::known>::iterator large_frames::locate(base::position at) {
    const auto found = std::ranges::find_if(
        frames_, [at](const known& one) { return one.frame.begin <= at && at < one.frame.end; });
    if (found != frames_.end()) {
        frames_.splice(frames_.begin(), frames_, found);
    }
    return found;
}

std::optional<large_frame> large_frames::find(base::position at) {
    const std::lock_guard lock(mutex_);
    const auto found = locate(at);
    return found == frames_.end() ? std::nullopt : std::optional(found->frame);
}

void large_frames::add(const large_frame& frame) {
    IMMORTAL_ASSERT(frame.end.value - frame.begin.value > sizeof(format::frame_header));
    const std::lock_guard lock(mutex_);
    if (const auto found = locate(frame.begin); found != frames_.end()) {
        IMMORTAL_ASSERT(found->frame.begin == frame.begin && found->frame.end == frame.end);
        return;
    }
    frames_.push_front({frame, {}});
    if (frames_.size() > frames_max) {
        places_ -= frames_.back().records.size();
        frames_.pop_back();
    }
}

base::position large_frames::record_before(const large_frame& frame, base::position at) {
    IMMORTAL_ASSERT(frame.begin <= at);
    const base::position first{frame.begin.value + sizeof(format::frame_header)};
    const std::lock_guard lock(mutex_);
    const auto found = locate(frame.begin);
    if (found == frames_.end()) {
        return first;
    }
    const auto after = std::ranges::upper_bound(found->records, at);
    return after == found->records.begin() ? first : *std::prev(after);
}

void large_frames::note(const large_frame& frame, base::position record) {
    IMMORTAL_ASSERT(frame.begin < record && record < frame.end);
    const std::lock_guard lock(mutex_);
    const auto found = locate(frame.begin);
    if (found == frames_.end()) {
        return; // pushed out meanwhile
    }
    auto& records = found->records;
    const base::position last = records.empty() ? frame.begin : records.back();
    if (record.value < last.value + spacing) {
        return;
    }
    records.push_back(record);
    ++places_;
    while (places_ > places_max && frames_.size() > 1) {
        places_ -= frames_.back().records.size();
        frames_.pop_back();
    }
}

} // namespace immortal::eventlog
