// Between the port's types and the protocol's messages. Included by the adapter's own sources only:
// it brings protobuf.
#pragma once

#include "esproto/event.hpp"
#include "esproto/wire/streams.pb.h"
#include "eventstore/event_store.hpp"
#include "eventstore/remote_metadata.hpp"

#include <optional>
#include <span>

namespace immortal::eventstore::remote {

namespace wire = ::event_store::client::streams;

// An expectation as the protocol's number.
[[nodiscard]] std::int64_t expected_number(const expected_revision& expected);

// Tells the events of an append their places in it.
class append_places {
public:
    explicit append_places(std::span<const stream_write> writes);
    // `index`: in the order of the writes and their events.
    [[nodiscard]] batch_place at(std::uint32_t index) const {
        return {.index = index, .count = count_, .batch = first_};
    }

private:
    std::uint32_t count_ = 0;
    base::uuid first_;
};

// Takes the message's bytes. Empty: it is no event.
struct received_event {
    recorded_event event; // last_in_batch by its place in the append
    std::optional<batch_place> place;
};
[[nodiscard]] std::optional<received_event> receive_event(wire::ReadResp::ReadEvent&& message);

// Options that every read has.
[[nodiscard]] wire::ReadReq read_request(direction way);
void set_stream(wire::ReadReq& request, const std::string& stream);
// What of the filter the server can do by itself; the rest is for the caller (event_filter).
void set_filter(wire::ReadReq& request, const all_filter& filter);

} // namespace immortal::eventstore::remote
