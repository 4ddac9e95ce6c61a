// Scavenging: closed segments are rewritten without what nobody can read any more. Online: readers
// and the writer go on. Positions, revisions and the numbers of views never change.
//
// A segment is replaced at once, by a rename, after its new file is durable and was read back. A
// crash at any instant leaves each segment as it was or as it will be.
//
// First all segments are read and what would be gained in each is measured. Then those in which
// bytes would be gained are rewritten, the biggest gain first. One that finds no room beside it is
// written into a reserve file that was made ahead (scavenge_reserve.hpp), so that a full disk can
// be scavenged.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace immortal::eventlog {

enum class scavenge_mode : std::uint8_t {
    rewrite,
    measure, // a dry run: says what would be gained, and changes nothing
};

struct scavenge_options {
    std::size_t threads = 1;            // segments rewritten at the same time, 1 to 8
    std::uint32_t from_segment = 0;     // earlier ones are left as they are
    std::uint64_t bytes_per_second = 0; // read by all threads together; 0: as fast as it goes
    scavenge_mode mode = scavenge_mode::rewrite;
};

// What a rewriting of one segment gains, or would gain.
struct segment_gain {
    std::uint32_t segment = 0;
    std::uint64_t events_removed = 0;
    std::uint64_t bytes_before = 0; // on disk
    std::uint64_t bytes_after = 0;

    [[nodiscard]] std::uint64_t bytes() const {
        return bytes_before - std::min(bytes_before, bytes_after);
    }
};

enum class scavenge_state : std::uint8_t {
    none, // since the log was opened
    running,
    completed,
    stopped, // on request, or because the log was closed
    failed,  // see `problem`; what was replaced before stays
};

struct scavenge_status {
    std::string id;
    scavenge_state state = scavenge_state::none;
    scavenge_options options;
    base::utc_time started{};
    base::utc_time ended{};               // unless it runs
    std::uint32_t segments_total = 0;     // to be looked at
    std::uint32_t segments_measured = 0;  // of those
    std::uint32_t segments_done = 0;      // of those: rewritten, or nothing would be gained
    std::uint32_t segments_rewritten = 0; // measured only: that would be
    std::uint64_t events_removed = 0;     // the same
    std::uint64_t bytes_saved = 0;        // on disk; the same
    std::string problem;                  // if it failed: a sentence for the operator
    std::vector<segment_gain> gains;      // at the end of a dry run: the biggest first
};

// Called after the start, after each segment and at the end, on a thread of the scavenge, one call
// at a time. Must not throw, nor call stop_and_wait(); may wait, which holds up the scavenge.
using scavenge_observer = std::function<void(const scavenge_status&)>;

// Thread-safe.
class scavenger {
public:
    virtual ~scavenger() = default;

    // Begins one and gives its id; does not wait. Errors: already_exists with reason "in_progress"
    // (one runs: see status()), invalid_argument (options; field "from_segment": the log has no
    // such segment), cancelled (the log is closed).
    [[nodiscard]] virtual base::result<std::string> start(scavenge_options options,
                                                          scavenge_observer observer = {}) = 0;
    // Asks the one that runs to stop after what it is doing; does not wait. Errors: not_found (none
    // with that id runs).
    [[nodiscard]] virtual base::status stop(const std::string& id) = 0;
    // Of the one that runs, or ran last.
    [[nodiscard]] virtual scavenge_status status() const = 0;
    // Returns when none runs any more; with `stop_now` it is asked to stop first.
    enum class wait_how : std::uint8_t { to_the_end, stop_now };
    virtual void wait(wait_how how) = 0;

    // From now on `recorder` is told of every scavenge but dry runs, as its observer is. When this
    // returns, the one before is not running and never runs again. Not to be called from it.
    virtual void set_recorder(scavenge_observer recorder) = 0;
    // Makes the reserve for scavenges of a full disk, if one is kept, a segment is closed, and
    // there is room. Nothing while a scavenge runs. Waits for the disk. Errors: unavailable.
    [[nodiscard]] virtual base::status maintain_reserve() = 0;
};

} // namespace immortal::eventlog
