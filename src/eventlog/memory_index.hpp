// The index in memory: 24 bytes an event and about 200 bytes a stream.
#pragma once

#include "eventlog/index.hpp"

#include <memory>

namespace immortal::eventlog {

[[nodiscard]] std::unique_ptr<log_index> make_memory_index();

} // namespace immortal::eventlog
