#include "eventlog/append_group.hpp"

#include "base/assert.hpp"
#include "eventlog/planted_fault.hpp"

#include <algorithm>
#include <numeric>

namespace immortal::eventlog {

void append_group::check() const {
    const std::size_t in_frames =
        std::accumulate(frames.begin(), frames.end(), std::size_t{0},
                        [](std::size_t sum, const frame& one) { return sum + one.entries; });
    IMMORTAL_ASSERT(in_frames == entries.size());
    IMMORTAL_ASSERT(ids.size() == entries.size() && earlier_events.size() == entries.size());
    const auto staged = std::ranges::count_if(answers, &answer::staged);
    IMMORTAL_ASSERT(static_cast<std::size_t>(staged) == frames.size());
    IMMORTAL_ASSERT(std::ranges::is_sorted(frames, {}, &frame::begin));
    IMMORTAL_ASSERT(entries.empty() || frames.front().begin < entries.front().position);
}

void append_group::roll_back(log_index& index, recent_ids& table) const {
    if (is_planted(planted_fault::keep_index_after_no_space)) {
        return;
    }
    check();
    std::size_t end = entries.size();
    for (auto one = frames.rbegin(); one != frames.rend(); ++one) {
        IMMORTAL_ASSERT(one->entries <= end);
        index.take_back(one->begin, std::span(entries).subspan(end - one->entries, one->entries));
        end -= one->entries;
    }
    IMMORTAL_ASSERT(end == 0);
    for (std::size_t i = entries.size(); i > 0; --i) {
        table.take_back(entries[i - 1].stream, ids[i - 1], earlier_events[i - 1]);
    }
}

void append_group::forget_frames() {
    frames.clear();
    entries.clear();
    ids.clear();
    earlier_events.clear();
    for (answer& each : answers) {
        each.staged = false;
    }
}

void append_group::clear() {
    entries.clear(); // views of what follows
    frames.clear();
    ids.clear();
    earlier_events.clear();
    correlations.clear();
    changed_metadata.clear();
    answers.clear();
    appends.clear();
}

} // namespace immortal::eventlog
