// The PersistentSubscriptions service: groups are managed here, and their consumers served.
#pragma once

#include "esdb/authorizer.hpp"
#include "esdb/group_registry.hpp"
#include "esdb/method_table.hpp"

namespace immortal::esdb {

// What is given outlives the table's calls. Managing groups is an operation; to consume, one needs
// the right to read the stream (or $all), and a link's target is shown only to those who may read
// it.
void add_persistent_subscriptions(method_table& methods, authorizer& rules, group_registry& groups);

// Serves one consumer; the rest of the service is in persistent_service.cpp.
[[nodiscard]] awaitable<rpc_status> serve_consumer(call& asked, authorizer& rules,
                                                   group_registry& groups);

} // namespace immortal::esdb
