// How calls about persistent subscriptions are refused: statuses with the trailers that clients
// look at.
#pragma once

#include "esdb/rpc_status.hpp"

#include <string>
#include <string_view>

namespace immortal::esdb {

// What a call is about, as it is told in the trailers.
struct group_name {
    std::string stream; // "$all" too
    std::string group;

    [[nodiscard]] std::string key() const { return stream + "::" + group; }
};

namespace refusal {
[[nodiscard]] rpc_status group_failed(const group_name& name, std::string_view reason);
[[nodiscard]] rpc_status group_missing(const group_name& name);
[[nodiscard]] rpc_status group_exists(const group_name& name);
[[nodiscard]] rpc_status group_full(const group_name& name); // no more consumers
[[nodiscard]] rpc_status group_dropped(const group_name& name);
} // namespace refusal

// Errors of group_registry.
[[nodiscard]] rpc_status to_group_status(const base::error& error, const group_name& name);

} // namespace immortal::esdb
