// Fills an empty store, or one that holds a beginning of the log, from the log.
#pragma once

#include "eventlog/index_source.hpp"
#include "eventlog/index_store.hpp"

#include <functional>

namespace immortal::eventlog {

struct rebuild_settings {
    bool correlations = true;
    std::uint64_t part_events_max = 0; // a part goes to the store then,
    std::size_t part_bytes_max = 0;    // or when it takes so much memory
};

// Adds to `into` what stands between `begin`, which is its end, and `end`; gives the place there.
// `go_on` is called after each part, without any lock; false: stop. Blocks. Errors: those of the
// source and of the store, cancelled.
[[nodiscard]] base::result<log_place> rebuild(index_store& into, index_source& source,
                                              const log_place& begin, base::position end,
                                              const rebuild_settings& settings,
                                              const std::function<bool()>& go_on);

} // namespace immortal::eventlog
