// The store as clients have it: every write passes the rule of the reserved streams.
#pragma once

#include "esdb/reserved_streams.hpp"
#include "eventstore/event_store.hpp"

#include <memory>

namespace immortal::esdb {

// Like `inner`, which outlives it, but append() also refuses what check_client_write() refuses:
// nothing of such an append is written.
[[nodiscard]] std::unique_ptr<eventstore::event_store>
make_client_store(eventstore::event_store& inner, protection level, kept_families kept = {});

} // namespace immortal::esdb
