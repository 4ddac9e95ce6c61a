// The ServerFeatures service: the methods that the table has, and nothing more.
#pragma once

#include "esdb/method_table.hpp"

namespace immortal::esdb {

inline constexpr char protocol_version[] = "26.1.0"; // whose behaviour is implemented

// Adds itself to `methods`, which outlives it and may be filled further until the server starts.
void add_server_features(method_table& methods);

} // namespace immortal::esdb
