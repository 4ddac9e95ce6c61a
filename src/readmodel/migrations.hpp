// The SQL files of /sql, built into the program.
#pragma once

#include "postgres/database.hpp"

#include <span>

namespace immortal::readmodel {

// In order of their numbers; give them to postgres::migrate.
[[nodiscard]] std::span<const postgres::migration> migrations();

} // namespace immortal::readmodel
