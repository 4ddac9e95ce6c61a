// The event store on our own log, in this process.
#pragma once

#include "eventstore/event_store.hpp"

#include <memory>

namespace immortal::eventlog {
class log;
}

namespace immortal::base {
class metrics;
}

namespace immortal::eventstore {

// `log`, and `metrics` (may be null), outlive the store. Coroutines resume on their own executors.
// Reads take their thread for a slice at a time (embedded_reading.hpp) and let others have it in
// between. Subscriptions read from the log, never from a buffer of their own: a slow one costs
// nothing but its reads, and one that waits is woken for what concerns it alone. Has one thread, on
// which it finds out whom a publication concerns.
[[nodiscard]] std::unique_ptr<event_store> make_embedded_store(eventlog::log& log,
                                                               base::metrics* metrics = nullptr);

} // namespace immortal::eventstore
