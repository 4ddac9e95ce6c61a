// The events that a new log begins with.
#pragma once

#include "base/result.hpp"
#include "eventlog/log.hpp"

namespace immortal::eventstore {

// Writes them, in one append, if `log` has no event yet: metadata of the streams that statistics
// and scavenges are written to, and the registry and definitions of the system projections, which
// are views here. Tools of EventStoreDB rely on a store that is not quite empty. Waits for the
// log's writer: not to be called on its thread. Errors: those of an append; the next call tries
// again.
[[nodiscard]] base::status write_system_events(eventlog::log& log);

} // namespace immortal::eventstore
