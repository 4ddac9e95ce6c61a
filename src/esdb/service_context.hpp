// What every service works with.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "esdb/append_account.hpp"
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
    append_limits limits = {};
};

} // namespace immortal::esdb
