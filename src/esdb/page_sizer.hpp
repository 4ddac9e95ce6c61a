// How much events take in memory on their way to a client, and how many make a page.
#pragma once

#include "eventstore/event_store.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace immortal::esdb {

// With what the event leads to, where it brings that along.
[[nodiscard]] inline std::size_t held_bytes(const eventstore::recorded_event& event) {
    constexpr std::size_t overhead = 256;
    return event.data.size() + event.metadata.size() + overhead +
           (event.link_target ? held_bytes(*event.link_target) : 0);
}

[[nodiscard]] inline std::size_t held_bytes(const eventstore::resolved_event& event) {
    return (event.event ? held_bytes(*event.event) : 0) +
           (event.link ? held_bytes(*event.link) : 0);
}

template <typename Event>
[[nodiscard]] std::size_t held_bytes(const std::vector<Event>& events) {
    std::size_t bytes = 0;
    for (const Event& event : events) {
        bytes += held_bytes(event);
    }
    return bytes;
}

// How many events to take from the store at once, so that a page stays near `bytes_wanted` even if
// events are large, or lead to large ones.
class page_sizer {
public:
    [[nodiscard]] std::size_t next() const { return count_; }
    template <typename Event>
    void observe(const std::vector<Event>& events) {
        if (!events.empty()) {
            const std::size_t fitting = bytes_wanted / (held_bytes(events) / events.size());
            count_ = std::clamp<std::size_t>(fitting, 1, std::min(count_ * growth, count_max));
        }
    }

private:
    static constexpr std::size_t bytes_wanted = 1u << 20;
    static constexpr std::size_t count_max = 512;
    static constexpr std::size_t growth = 4;
    std::size_t count_ = 32;
};

} // namespace immortal::esdb
