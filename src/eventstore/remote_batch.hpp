// Appends to one stream each, many of them under way on one long call (BatchAppend). Included by
// the adapter's own sources only: it brings gRPC.
#pragma once

#include "eventstore/event_store.hpp"

#include <memory>
#include <mutex>

namespace immortal::eventstore {

class remote_link;

// Thread-safe. Answers come in any order; what is under way when the call ends has an unknown
// outcome, and the next append begins another call.
class remote_batch {
public:
    explicit remote_batch(remote_link& link); // which outlives it
    ~remote_batch();                          // no append is under way
    remote_batch(const remote_batch&) = delete;
    remote_batch& operator=(const remote_batch&) = delete;

    // Blocks, at most the link's operation_timeout and what it takes to connect, or to find that
    // nobody is there. Precondition: the write appends.
    [[nodiscard]] base::result<append_outcome> append(const stream_write& write);

private:
    class call;
    [[nodiscard]] base::result<std::shared_ptr<call>> current();

    remote_link& link_;
    std::mutex mutex_;
    std::shared_ptr<call> call_;
};

} // namespace immortal::eventstore
