// A subscription to a remote store. A thread of its own reads from the server and fills a bounded
// queue; while that is full nothing more is read, and the server waits. After a lost connection it
// goes on behind the last event it took, so nothing is missed or given twice.
#pragma once

#include "eventstore/event_store.hpp"

#include <memory>
#include <optional>
#include <string>

namespace immortal::eventstore {

class remote_link;

struct subscription_start {
    std::optional<std::string> stream;          // empty: everything
    std::optional<base::revision> after_number; // of a stream
    std::optional<base::position> after;        // of everything
    all_filter filter;                          // of everything
};

// `link` outlives it. Its destructor waits for the thread.
[[nodiscard]] std::unique_ptr<subscription> make_remote_subscription(remote_link& link,
                                                                     subscription_start start);

} // namespace immortal::eventstore
