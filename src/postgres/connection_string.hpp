// The address of a PostgreSQL, as libpq reads it.
#pragma once

#include <string>

namespace immortal::postgres {

// Whether libpq can read it: a URI (postgresql://...) or keywords (host=... dbname=...). Nothing is
// connected to.
[[nodiscard]] bool is_connection_string(const std::string& text);

} // namespace immortal::postgres
