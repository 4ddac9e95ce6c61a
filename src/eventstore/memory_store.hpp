// An event store in memory, for tests of everything that stands above the port.
#pragma once

#include "base/clock.hpp"
#include "eventstore/event_store.hpp"

#include <memory>

namespace immortal::eventstore {

// `clock` outlives the store. Thread-safe. Nothing survives the object.
[[nodiscard]] std::unique_ptr<event_store> make_memory_store(base::clock& clock);

} // namespace immortal::eventstore
