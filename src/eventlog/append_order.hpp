// In which order the events of an append stand in the log.
#pragma once

#include "eventlog/event.hpp"

#include <algorithm>
#include <concepts>
#include <span>
#include <tuple>
#include <vector>

namespace immortal::eventlog {

// Calls `visit(write, event)` with the numbers of each: ascending by `place`, events of one place
// as they are given. Precondition: `place` does not fall inside a write.
template <std::invocable<std::size_t, std::size_t> Visit>
void visit_in_order(std::span<const stream_write> writes, Visit&& visit) {
    const bool as_given =
        writes.size() == 1 || std::ranges::all_of(writes, [](const stream_write& write) {
            return write.events.empty() || write.events.back().place == 0;
        });
    if (as_given) {
        for (std::size_t i = 0; i < writes.size(); ++i) {
            for (std::size_t n = 0; n < writes[i].events.size(); ++n) {
                visit(i, n);
            }
        }
        return;
    }
    std::vector<std::tuple<std::uint32_t, std::size_t, std::size_t>> order;
    for (std::size_t i = 0; i < writes.size(); ++i) {
        for (std::size_t n = 0; n < writes[i].events.size(); ++n) {
            order.emplace_back(writes[i].events[n].place, i, n);
        }
    }
    std::ranges::sort(order);
    for (const auto& [place, write, event] : order) {
        visit(write, event);
    }
}

} // namespace immortal::eventlog
