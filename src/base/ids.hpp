// Strong types for places in the log.
#pragma once

#include "base/uuid.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace immortal::base {

// Place of an event in the log's one total order: a byte offset from the beginning of the log,
// strictly increasing, not dense. Fits a JSON number exactly (< 2^53).
struct position {
    std::uint64_t value = 0;
    friend auto operator<=>(const position&, const position&) = default;
};

// Number of an event within its stream: 0, 1, 2, ...
struct revision {
    std::uint64_t value = 0;
    friend auto operator<=>(const revision&, const revision&) = default;
};

// Which log a derived value belongs to. A restore gives the log a new epoch, so positions of two
// epochs never compare.
struct log_identity {
    uuid id;
    std::uint32_t epoch = 1;
    friend auto operator<=>(const log_identity&, const log_identity&) = default;
};

} // namespace immortal::base

template <>
struct std::hash<immortal::base::position> {
    std::size_t operator()(immortal::base::position p) const noexcept { return p.value; }
};
