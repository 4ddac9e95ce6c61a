// What a client asks to read, checked. Pure.
#pragma once

#include "esdb/rpc_status.hpp"
#include "esproto/convert.hpp"
#include "eventstore/event_store.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace event_store::client::streams {
class ReadReq;
}

namespace immortal::esdb {

enum class read_from : std::uint8_t { start, end, place };

struct read_plan {
    bool all = false; // everything, or `stream`
    std::string stream = {};
    bool subscribe = false;
    eventstore::direction way = eventstore::direction::forwards;
    read_from from = read_from::start;
    std::uint64_t place = 0; // revision, or position with `all`
    std::uint64_t count = 0; // events after filtering; not with `subscribe`
    bool resolve_links = false;
    bool tell_ends = false; // first and last position of the stream
    esproto::uuid_form form = esproto::uuid_form::structured;

    struct filtering {
        eventstore::all_filter filter;
        std::uint64_t checkpoint_interval = 0; // events looked at; with `subscribe`
    };
    std::optional<filtering> filter = {};
};

// Errors: INVALID_ARGUMENT for a combination that does not exist, an illegal number, a filter
// without expression or window.
[[nodiscard]] rpc_result<read_plan> plan_read(const ::event_store::client::streams::ReadReq& in);

// The protocol never shows some bookkeeping streams in reads of everything.
[[nodiscard]] bool shown_in_all(const eventstore::recorded_event& event);

} // namespace immortal::esdb
