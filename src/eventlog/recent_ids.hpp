// The newest event ids of the log, for appends that name no exact revision. Bounded: at least half
// of the capacity, at most all of it, is remembered. Used by one thread.
#pragma once

#include "eventlog/append_decision.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace immortal::eventlog {

class recent_ids {
public:
    // `seed` keeps the table's order from being guessed.
    recent_ids(std::size_t capacity, std::uint64_t seed);
    ~recent_ids();
    recent_ids(recent_ids&&) noexcept;
    recent_ids& operator=(recent_ids&&) noexcept;

    // A later event of the same stream with the same id replaces the earlier one, which is given.
    std::optional<known_event> add(std::string_view stream, const base::uuid& id,
                                   known_event event);
    // Takes back the newest addition, which replaced `earlier`.
    void take_back(std::string_view stream, const base::uuid& id,
                   const std::optional<known_event>& earlier);
    [[nodiscard]] std::optional<known_event> find(std::string_view stream,
                                                  const base::uuid& id) const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::eventlog
