// A message of a group, from the source (or the parked stream) to a consumer.
#pragma once

#include "base/uuid.hpp"
#include "esdb/consumer_pool.hpp"
#include "eventstore/event_store.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace immortal::esdb {

struct group_message {
    std::shared_ptr<const eventstore::resolved_event> event; // what the consumer is given
    std::uint64_t place = 0; // in the source: revision, or position in $all
    base::uuid id;           // what the consumer answers with: the link's, else the event's
    std::int32_t retry_count = 0;
    std::uint32_t bucket = 0;
    std::optional<std::uint64_t> parked = {}; // its number in the parked stream, when replayed
    // Bytes that were let go, to be read again before it is given; `event` is without them.
    std::size_t let_go = 0;

    // The event of the source itself: the link, where there is one.
    [[nodiscard]] const eventstore::recorded_event& original() const {
        return event->link ? *event->link : *event->event;
    }
};

struct delivery {
    consumer_id to = 0;
    group_message message;
};

} // namespace immortal::esdb
