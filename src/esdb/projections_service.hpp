// The Projections service: the five system projections, which are views and always run. Projections
// of one's own are not served yet and refused with a status that says so.
#pragma once

#include "esdb/authorizer.hpp"
#include "esdb/method_table.hpp"
#include "eventstore/event_store.hpp"

namespace immortal::esdb {

// What is given outlives the table.
void add_projections(method_table& methods, authorizer& rules, eventstore::event_store& store);

} // namespace immortal::esdb
