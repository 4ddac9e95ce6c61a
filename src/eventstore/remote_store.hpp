// The adapter for a store in another process, over gRPC: a KurrentDB cluster (25.1 or newer), or
// `immortal store serve`. docs/remote-store.md and docs/adr/0011-remote-store.md say how the port's
// promises hold there.
//
// Differences from the embedded store: `repeated` is told of what this process knew to
// be in the log (the protocol does not tell); of a
// soft-deleted stream the last revision is not known; a write that deletes stands alone in its
// append; whole batches are known for what this program wrote.
#pragma once

#include "base/random.hpp"
#include "eventstore/connection_string.hpp"
#include "eventstore/event_store.hpp"

namespace immortal::eventstore {

struct remote_settings {
    connection_settings connection;
    milliseconds operation_timeout{7000}; // of one call; a subscription has none
    milliseconds check_period{1000};      // how often head and reachability are looked at
    milliseconds reconnection_delay{100}; // first pause before a lost connection is made again
    bool reads_need_leader = true;        // no read from a node that may be behind
    std::uint32_t epoch = 1;              // raised by the operator when the store was restored
    std::size_t calls_at_once = 32;
    unsigned start_attempts = 3; // of open_remote_store()
};

// Connects, looks at what the server can do and who it is (its identity is an event in the stream
// `immortal-identity`, made once). Blocks, at most start_attempts times. `random` outlives the
// store. Errors: unavailable (nobody answers), unauthenticated, forbidden, invalid_argument (files
// of the connection string), mismatch (the server lacks the atomic append over several streams;
// the sentence says what is needed).
[[nodiscard]] base::result<std::unique_ptr<event_store>>
open_remote_store(remote_settings settings, base::random_source& random);

} // namespace immortal::eventstore
