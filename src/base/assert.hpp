// Assertions against programmers' mistakes. They stay on in release builds and end the process:
// going on with a broken invariant could acknowledge what is not durable.
#pragma once

namespace immortal::base {

[[noreturn]] void assertion_failed(const char* condition, const char* file, unsigned line) noexcept;

} // namespace immortal::base

#define IMMORTAL_ASSERT(condition)                                                                 \
    (static_cast<bool>(condition) ? static_cast<void>(0)                                           \
                                  : ::immortal::base::assertion_failed(                            \
                                        #condition, __FILE__, static_cast<unsigned>(__LINE__)))
