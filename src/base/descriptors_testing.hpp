// For tests that leave a process without descriptors.
#pragma once

#include <gtest/gtest.h>

// Skips the test under UndefinedBehaviorSanitizer: its check of virtual calls needs a descriptor of
// its own, and reports a defect when it gets none.
#if __has_feature(undefined_behavior_sanitizer)
#define SKIP_WHERE_CHECKS_NEED_DESCRIPTORS()                                                       \
    GTEST_SKIP() << "SKIPPED, NOT TESTED HERE: the sanitizer needs descriptors; the dev preset "   \
                    "runs it"
#else
#define SKIP_WHERE_CHECKS_NEED_DESCRIPTORS() static_cast<void>(0)
#endif
