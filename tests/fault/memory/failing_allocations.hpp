// Counts what this program allocates, and lets the nth allocation fail: every `operator new` of the
// program and of the libraries that it loads throws std::bad_alloc then.
#pragma once

#include <cstdint>

namespace immortal::faults {

enum class repetition : bool { once, sticky }; // sticky: that one and all after it

// From now on, on all threads, the `nth` allocation fails (0: none, they are only counted).
void arm_allocations(std::uint64_t nth, repetition how);
// Nothing fails any more. Gives how many allocations there were since arm_allocations().
std::uint64_t disarm_allocations();

} // namespace immortal::faults
