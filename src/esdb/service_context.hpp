// What every service works with.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "esdb/authorizer.hpp"
#include "esdb/caller_ledger.hpp"
#include "eventstore/event_store.hpp"

#include <chrono>

namespace immortal::esdb {

// Everything outlives the services.
struct service_context {
    eventstore::event_store& store;
    authorizer& rules;
    base::clock& clock;
    base::random_source& random;
    const caller_ledger& callers;
    std::chrono::milliseconds write_limit{10'000}; // from a complete append to its answer
    std::size_t append_bytes_max = eventlog::append_size_max;
};

} // namespace immortal::esdb
