// Subscriptions over a store that lives in this process: they pull from the store and, when there
// is nothing more, sleep until something is published.
#pragma once

#include "eventstore/event_store.hpp"
#include "runtime/async_event.hpp"

#include <memory>

namespace immortal::eventstore {

// What a subscription pulls from; one per subscription, used by one reader at a time.
class catch_up_source {
public:
    virtual ~catch_up_source() = default;
    // The next events, at most `count_max` unless one batch has more, after looking at no more than
    // `considered_max`; `caught_up` if nothing more was durable. Does not wait.
    [[nodiscard]] virtual base::result<subscription::batch> pull(std::size_t count_max,
                                                                 std::size_t considered_max) = 0;
};

// `published` is notified after every publication and when the store ends; it outlives the
// subscription.
[[nodiscard]] std::unique_ptr<subscription> make_catch_up(std::unique_ptr<catch_up_source> source,
                                                          runtime::async_event& published);

// A source that answers every pull with an error.
[[nodiscard]] std::unique_ptr<catch_up_source> make_refused_source(base::error why);

} // namespace immortal::eventstore
