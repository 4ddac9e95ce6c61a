// What a caller must be allowed before a method's handler runs. Every method of the table states
// its rule; the driver of the call applies it, in two steps:
//
//     before anything is received   whether this caller may use the method at all
//     after each message            whether it may do that to the streams which the message names
//
// so of an append over several messages only the first is taken from somebody who may not write:
// small for Append, a whole request for AppendSession, a whole chunk for BatchAppend. AppendRecords
// has one message, which comes in whole before its streams are known.
#pragma once

#include "esdb/authorizer.hpp"
#include "esdb/rpc_status.hpp"

namespace google::protobuf {
class MessageLite;
}

namespace immortal::esdb {

// How a method refuses, if not with to_status(): `stream` is the one that is refused, empty before
// any is named.
using access_denial = rpc_status (*)(const base::error& error, const std::string& stream,
                                     const principal& caller);

struct access_rule {
    enum class kind : std::uint8_t {
        unstated,      // a method with it is not taken into the table
        everybody,     // it tells nothing of what is stored
        login,         // any login that is known; whose account it is about the handler looks at
        operation,     // authorizer::may_operate
        streams,       // the right to the streams that its messages name
        streams_inside // the same, looked at by the handler, which refuses inside of its answers
    };
    kind what = kind::unstated;
    operation needed = operation::statistics;                              // kind::operation
    stream_needs (*needs)(const google::protobuf::MessageLite&) = nullptr; // kind::streams
    access_denial denial = nullptr;

    [[nodiscard]] static constexpr access_rule everybody() { return {.what = kind::everybody}; }
    [[nodiscard]] static constexpr access_rule login() { return {.what = kind::login}; }
    [[nodiscard]] static constexpr access_rule operating(operation needed) {
        return {.what = kind::operation, .needed = needed};
    }
    [[nodiscard]] static constexpr access_rule streams_inside() {
        return {.what = kind::streams_inside};
    }
};

// The step before anything is received. `rules` outlives it. Errors: forbidden.
[[nodiscard]] awaitable<base::status> may_call(authorizer& rules, access_rule rule,
                                               principal caller);

// The rights themselves. Errors: forbidden, and those of the store; `field` names the stream.
[[nodiscard]] awaitable<base::status> has_rights(authorizer& rules, principal caller,
                                                 stream_needs needs);

} // namespace immortal::esdb
