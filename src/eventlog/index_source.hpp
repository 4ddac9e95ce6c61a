// What an index is made of anew while it is in use: the log before a place.
#pragma once

#include "base/result.hpp"
#include "eventlog/index.hpp"
#include "eventlog/segment.hpp"

#include <functional>
#include <span>

namespace immortal::eventlog {

class index_source {
public:
    virtual ~index_source() = default;

    struct visitor {
        // Before each frame, with the place it begins at. False: stop.
        std::function<bool(const log_place& here)> rest;
        // What log_index::add() takes.
        std::function<void(base::position frame, std::span<const index_entry> entries)> add;
    };
    // Reads and checks the frames from `begin` ({}: the log's beginning) up to `end`, both places
    // between two frames before the durable end of the log; gives the place at `end`. Any thread,
    // beside readers, the writer and scavenges. Blocks on the file system. Errors: corrupt (the log
    // is damaged there), unavailable, cancelled (stopped).
    [[nodiscard]] virtual base::result<log_place> read(const log_place& begin, base::position end,
                                                       const visitor& visit) = 0;
};

// The segments of an open log. What it refers to outlives it.
class log_index_source final : public index_source {
public:
    log_index_source(const segment_list& segments, const base::uuid& log_id)
        : segments_(segments), log_id_(log_id) {}

    base::result<log_place> read(const log_place& begin, base::position end,
                                 const visitor& visit) override;

private:
    const segment_list& segments_;
    const base::uuid log_id_;
};

} // namespace immortal::eventlog
