// An event of a source, for tests of groups.
#pragma once

#include "eventstore/event_store.hpp"

#include <string>
#include <utility>

namespace immortal::esdb {

inline eventstore::resolved_event
make_source_event(std::uint64_t number, std::string stream = "s-1", std::string metadata = {}) {
    eventstore::recorded_event event;
    event.stream = std::move(stream);
    event.type = "Happened";
    event.revision = {number};
    event.position = {number * 100};
    event.metadata = std::move(metadata);
    event.id.bytes[0] = 1;
    for (std::size_t i = 0; i < 8; ++i) {
        event.id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    return {std::move(event), std::nullopt};
}

} // namespace immortal::esdb
