// Reads and checks one segment from its beginning to its end: for the start, and for `log verify`.
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

// Whether a segment's header must continue the chain value of the state, or need only stand in its
// place: where the frames before it were not read, their last chain value is not known.
enum class chain_check : std::uint8_t { continues, unknown };

// Reads the segment's header and checks that it follows `state`. No segment: `fault` says why.
[[nodiscard]] base::file_result<std::shared_ptr<segment>>
open_segment(std::unique_ptr<base::file> file, const scan_state& state,
             std::optional<scan_fault>& fault, chain_check how = chain_check::continues);

// Checks every frame: order, chain, checksums of its records. Stops at the first fault, with
// `state` at the end of the last good frame; else moves `state` past the segment's `size` bytes.
[[nodiscard]] base::file_result<std::optional<scan_fault>>
scan_frames(segment& from, std::uint64_t size, scan_state& state, chain_hasher& hasher,
            const scan_visitor& visit);

// The same from the frame at `state.end` on, within the segment.
[[nodiscard]] base::file_result<std::optional<scan_fault>>
resume_scan(segment& from, std::uint64_t size, scan_state& state, chain_hasher& hasher,
            const scan_visitor& visit);

} // namespace immortal::eventlog
