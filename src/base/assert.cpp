#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace immortal::base {

void assertion_failed(const char* condition, const char* file, unsigned line) noexcept {
    std::fprintf(stderr, "immortal: broken invariant: %s (%s:%u)\n", condition, file, line);
    std::fflush(stderr);
    std::abort();
}

} // namespace immortal::base
