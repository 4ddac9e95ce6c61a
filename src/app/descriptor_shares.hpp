// How many of the process's file descriptors the event log may use.
#pragma once

#include "app/settings.hpp"

#include <cstddef>

namespace immortal::app {

struct descriptor_shares {
    std::size_t segments = 0; // closed ones that are open at the same time
    std::size_t index = 0;    // files of the index
    std::size_t reserve = 0;  // kept for the log: base::descriptor_reserve
};

// Raises the process's limit of open files as far as it goes, says once what was reached, and
// shares it out. Thread-safe.
[[nodiscard]] descriptor_shares share_descriptors(const settings& options);

} // namespace immortal::app
