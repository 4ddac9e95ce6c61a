// Places in large frames where a record is known to begin, so that a reader who pages through such
// a frame goes on where it stopped instead of reading and checking the frame from its beginning.
#pragma once

#include "base/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

namespace immortal::eventlog {

// Frames longer than this are not read whole by readers (recovery, verify and scavenges do). An
// append of today is bounded (append_frame_size_max); logs of earlier versions hold longer ones.
constexpr std::uint64_t large_frame_min = 256u << 10u; // bytes

struct large_frame {
    base::position begin;
    base::position end;
};

// Remembers one place for each `spacing` bytes of a frame that was walked through, of the frames
// used last: places_max of them in all, 8 bytes each. A frame never moves, a scavenge leaves
// positions and lengths as they are, so what is remembered stays true. Only what was reached by
// walking from the frame's header is remembered: the bytes of an event may look like a record.
// Thread-safe.
class large_frames {
public:
    static constexpr std::uint64_t spacing = 16u << 10u; // bytes
    static constexpr std::size_t places_max = 1u << 18u;
    static constexpr std::size_t frames_max = 64;

    // The frame around `at`, if it was met before.
    [[nodiscard]] std::optional<large_frame> find(base::position at);
    void add(const large_frame& frame);
    // A record that begins at or before `at`, near it if readers came so far; at least the first.
    [[nodiscard]] base::position record_before(const large_frame& frame, base::position at);
    // A record of it begins at `record`, as a walk from a known one has found.
    void note(const large_frame& frame, base::position record);

private:
    struct known {
        large_frame frame;
        std::vector<base::position> records; // ascending, at least `spacing` apart
    };
    [[nodiscard]] std::list<known>::iterator locate(base::position at); // and moves it to the front

    std::mutex mutex_;
    std::list<known> frames_; // used last first
    std::size_t places_ = 0;
};

} // namespace immortal::eventlog
