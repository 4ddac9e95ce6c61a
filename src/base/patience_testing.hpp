// Waits of tests for what other threads do.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace immortal::base {

// Returns when the condition holds; a failure if it does not within a minute.
template <typename Condition>
[[nodiscard]] testing::AssertionResult comes_true(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) {
            return testing::AssertionFailure() << "waited for a minute in vain";
        }
        std::this_thread::yield();
    }
    return testing::AssertionSuccess();
}

} // namespace immortal::base
