// Subscriptions over a store that lives in this process: they pull from the store and, when there
// is nothing more, sleep until something is published that concerns them.
#pragma once

#include "eventstore/event_store.hpp"
#include "eventstore/publication_board.hpp"

#include <memory>

namespace immortal::eventstore {

// What a subscription pulls from; one per subscription, used by one reader at a time.
class catch_up_source {
public:
    virtual ~catch_up_source() = default;

    struct slice {
        subscription::batch part;
        // The events belong to one append, which goes on: the slice's own bound cut it.
        bool unfinished = false;
    };
    // The next events, at most `count_max` unless one batch has more, after looking at no more than
    // `considered_max`; `caught_up` if nothing more was durable. Does not wait, and does not look
    // at more than one slice: it may give nothing though there is more.
    [[nodiscard]] virtual base::result<slice> pull(std::size_t count_max,
                                                   std::size_t considered_max) = 0;
    // Of a source of all events: where the next pull begins.
    [[nodiscard]] virtual std::optional<base::position> place() const { return std::nullopt; }
    // Goes on at `next`: nothing before it is wanted. `last_event` stands before it. Gives what has
    // been processed with that.
    virtual base::position pass_over(base::position /*next*/, base::position last_event) {
        return last_event;
    }
};

[[nodiscard]] std::unique_ptr<subscription> make_catch_up(std::unique_ptr<catch_up_source> source,
                                                          std::unique_ptr<publication_watch> watch);

// A subscription whose next() always gives `why`.
[[nodiscard]] std::unique_ptr<subscription> make_refused(base::error why);

} // namespace immortal::eventstore
