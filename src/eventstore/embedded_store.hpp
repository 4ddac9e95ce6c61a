// The event store on our own log, in this process.
#pragma once

#include "eventstore/event_store.hpp"

#include <memory>

namespace immortal::eventlog {
class log;
}

namespace immortal::eventstore {

// `log` outlives the store. Coroutines resume on their own executors. Subscriptions read from the
// log, never from a buffer of their own: a slow one costs nothing but its reads.
[[nodiscard]] std::unique_ptr<event_store> make_embedded_store(eventlog::log& log);

} // namespace immortal::eventstore
