// What every service works with.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "esdb/authorizer.hpp"
#include "esdb/byte_budget.hpp"
#include "eventstore/event_store.hpp"

#include <chrono>

namespace immortal::esdb {

constexpr std::size_t unfinished_bytes_max = 512u << 20; // requests of all calls together

// Everything outlives the services.
struct service_context {
    eventstore::event_store& store;
    authorizer& rules;
    base::clock& clock;
    base::random_source& random;
    byte_budget& memory;
    std::chrono::milliseconds write_limit{10'000}; // from a complete append to its answer
};

} // namespace immortal::esdb
