// An all_filter made ready: expressions are compiled once.
#pragma once

#include "base/result.hpp"
#include "eventstore/event_store.hpp"

#include <memory>
#include <string_view>

namespace immortal::eventstore {

// Cheap to copy; thread-safe.
class event_filter {
public:
    // Errors: invalid_argument (an expression that RE2 does not take).
    [[nodiscard]] static base::result<event_filter> compile(const all_filter& filter);

    [[nodiscard]] bool wants(std::string_view stream, std::string_view type) const;

private:
    struct compiled;
    explicit event_filter(std::shared_ptr<const compiled> from) : compiled_(std::move(from)) {}
    std::shared_ptr<const compiled> compiled_;
};

} // namespace immortal::eventstore
