// Whether the machine lets this process have what it needs, before anything is begun: libraries
// below us end the process when they are refused a thread in the middle of their start.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>

namespace immortal::runtime {

struct resource_needs {
    std::size_t threads = 0;         // of this process and its children, at the same time
    std::uint64_t descriptors = 0;   // of this process
    std::uint64_t address_space = 0; // of this process, bytes
    std::uint64_t file_size = 0;     // of its largest file, bytes
};

// Raises the limit of descriptors as far as it may be raised, starts so many threads for a moment,
// and compares the other limits. A need of 0 is not looked at. Errors: unavailable, with a sentence
// that names the limit, its value, what is needed, and how to raise it. Blocks for milliseconds.
[[nodiscard]] base::status check_resources(const resource_needs& needs);

} // namespace immortal::runtime
