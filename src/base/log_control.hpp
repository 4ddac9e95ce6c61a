// Changes of the process's log while it is in use.
#pragma once

#include "base/log.hpp"

namespace immortal::base {

// From now on entries below `level` are left out. Thread-safe.
void set_log_level(log_level level);

} // namespace immortal::base
