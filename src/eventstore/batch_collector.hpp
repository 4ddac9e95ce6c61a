// Whole appends out of single events, where the store does not tell which were appended together:
// by the place that each event of an append of several carries. Pure.
#pragma once

#include "eventstore/event_store.hpp"
#include "eventstore/remote_metadata.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace immortal::eventstore {

// One reader's events, in order. A filter may hide some events of an append: then the append is
// whole when something else comes, or flush() is called.
class batch_collector {
public:
    // Adds an event and gives the events that are whole now, the last of each append marked.
    [[nodiscard]] std::vector<recorded_event> add(recorded_event event,
                                                  const std::optional<batch_place>& place);
    // Gives what waits, marked as whole.
    [[nodiscard]] std::vector<recorded_event> flush();
    [[nodiscard]] bool waiting() const { return !pending_.empty(); }

private:
    std::vector<recorded_event> pending_;
    base::uuid batch_;
};

} // namespace immortal::eventstore
