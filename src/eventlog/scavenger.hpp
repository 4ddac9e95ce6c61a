// Scavenging: closed segments are rewritten without what nobody can read any more. Online: readers
// and the writer go on. Positions, revisions and the numbers of views never change.
//
// A segment is replaced at once, by a rename, after its new file is durable and was read back. A
// crash at any instant leaves each segment as it was or as it will be; a scavenge that is started
// again goes over what is done quickly, since nothing more is to be removed there.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace immortal::eventlog {

struct scavenge_options {
    std::size_t threads = 1;            // segments rewritten at the same time, 1 to 8
    std::uint32_t from_segment = 0;     // earlier ones are left as they are
    std::uint64_t bytes_per_second = 0; // read by all threads together; 0: as fast as it goes
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
    base::utc_time ended{};           // unless it runs
    std::uint32_t segments_total = 0; // to be looked at
    std::uint32_t segments_done = 0;  // of those
    std::uint32_t segments_rewritten = 0;
    std::uint64_t events_removed = 0;
    std::uint64_t bytes_saved = 0; // on disk
    std::string problem;           // if it failed: a sentence for the operator
};

// Called after the start, after each segment and at the end, on a thread of the scavenge, one call
// at a time. Must not throw, nor call stop_and_wait(); may wait, which holds up the scavenge.
using scavenge_observer = std::function<void(const scavenge_status&)>;

// Thread-safe.
class scavenger {
public:
    virtual ~scavenger() = default;

    // Begins one and gives its id; does not wait. Errors: already_exists with reason "in_progress"
    // (one runs: see status()), invalid_argument (options), cancelled (the log is closed).
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
};

} // namespace immortal::eventlog
