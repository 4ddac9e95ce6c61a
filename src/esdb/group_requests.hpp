// What clients ask of persistent subscriptions, checked. Pure.
#pragma once

#include "esdb/group_definition.hpp"
#include "esdb/group_refusals.hpp"
#include "esproto/wire/persistent_subscriptions.pb.h"

namespace immortal::esdb {

namespace groups_wire = ::event_store::client::persistent_subscriptions;

// Errors: persistent-subscription-failed with the reason; INVALID_ARGUMENT (a place that no event
// can have, a filter without expression).
[[nodiscard]] rpc_result<group_definition> plan_create(const groups_wire::CreateReq& in);
// The definition has no filter.
[[nodiscard]] rpc_result<group_definition> plan_update(const groups_wire::UpdateReq& in);

// Of the requests that name a group by `stream_identifier` or `all`.
template <typename Options>
group_name name_of_group(const Options& options) {
    return {options.has_all() ? std::string(all_stream) : options.stream_identifier().stream_name(),
            options.group_name()};
}
// Empty: fine. A group of everything is asked for by `all`, never by its name.
template <typename Options>
std::optional<rpc_status> refuse_name(const Options& options) {
    const group_name name = name_of_group(options);
    if (!options.has_all() && name.stream == all_stream) {
        return refusal::group_failed(name, "$all is not the name of a stream.");
    }
    return std::nullopt;
}

} // namespace immortal::esdb
