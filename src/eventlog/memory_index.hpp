// The index in memory, for tests and small tools: nothing is kept, so that opening the log reads
// all of it. About 24 bytes an event and 250 bytes a stream.
#pragma once

#include "eventlog/index.hpp"

#include <memory>

namespace immortal::eventlog {

[[nodiscard]] std::unique_ptr<log_index> make_memory_index(bool correlations = true);

} // namespace immortal::eventlog
