// Reads and checks the frames of one segment. Who reads them from a file on the disk begins with
// segment_walk.hpp, which opens it.
#pragma once

#include "base/result.hpp"
#include "eventlog/chain.hpp"
#include "eventlog/frame_reader.hpp"
#include "eventlog/index.hpp"
#include "eventlog/segment.hpp"

#include <functional>
#include <optional>
#include <string>

namespace immortal::eventlog {

// What stands before a segment; moved forward by the scan.
struct scan_state {
    base::uuid log_id;
    std::uint32_t next_segment = 0;
    base::position end;      // where the next segment, then the next frame, begins
    base::digest256 chain{}; // before it
    std::uint64_t events = 0;
    std::uint64_t frames = 0;
    base::position last_event;
    base::utc_time last_created{};

    [[nodiscard]] log_place place() const { return {end, chain, events, last_event, last_created}; }
    void move_to(const log_place& at) {
        end = at.end;
        chain = at.chain;
        events = at.events;
        last_event = at.last_event;
        last_created = at.last_created;
    }
};

// Where and why the bytes are not what they should be.
struct scan_fault {
    base::position at;
    std::uint64_t offset = 0; // in the segment
    std::string what;
};

struct scan_visitor {
    std::function<void(const frame_view&)> frame = [](const frame_view&) {};
    // After all records of the frame were checked.
    std::function<void(const record_view&)> record = [](const record_view&) {};
};

constexpr std::size_t scan_piece_size = 4u << 20u; // bytes read at a time

enum class walk_step : std::uint8_t { go_on, stop };
using frame_visitor = std::function<walk_step(const frame_view&)>;

// Shows the frames from `begin` to `end`, positions of the segment, until one says stop. Their
// headers are checked; chain and records are not. A fault says why the frames end before `end`.
[[nodiscard]] base::file_result<std::optional<scan_fault>>
walk_frames(const segment& in, base::position begin, base::position end, const frame_visitor& visit,
            std::size_t piece = scan_piece_size);

// Checks every frame: order, chain, checksums of its records. Stops at the first fault, with
// `state` at the end of the last good frame; else moves `state` past the segment's `size` bytes.
// Precondition: `size` covers the segment's header.
[[nodiscard]] base::file_result<std::optional<scan_fault>>
scan_frames(const segment& from, std::uint64_t size, scan_state& state, chain_hasher& hasher,
            const scan_visitor& visit);

// The same from the frame at `state.end` on, within the segment.
[[nodiscard]] base::file_result<std::optional<scan_fault>>
resume_scan(const segment& from, std::uint64_t size, scan_state& state, chain_hasher& hasher,
            const scan_visitor& visit);

// After a fault at `state.end`: moves `state` behind the frame there, if its header is good and
// another frame follows, whose header then says the chain value. False: it cannot; `state` stands
// where no frame begins, or at the segment's end.
[[nodiscard]] base::file_result<bool> pass_damaged_frame(const segment& from, std::uint64_t size,
                                                         scan_state& state);

} // namespace immortal::eventlog
