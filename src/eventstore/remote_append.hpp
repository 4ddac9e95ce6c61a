// Appends to a remote store. Blocking; any thread.
#pragma once

#include "eventstore/event_store.hpp"

namespace immortal::eventstore {

class remote_batch;
class remote_link;

// As event_store::append(). One stream goes by the batch append of version 1, pipelined, which
// takes bytes and knows repeats; several by the atomic append of version 2; checks without events
// by its records call. A write that deletes stands alone in its append, else: invalid_argument.
[[nodiscard]] base::result<append_outcome> append_remotely(remote_link& link, remote_batch& batch,
                                                           const std::vector<stream_write>& writes);

} // namespace immortal::eventstore
