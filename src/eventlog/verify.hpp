// Reads a whole log and checks everything there is to check; changes nothing. Behind
// `immortal log verify`.
#pragma once

#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/revision_check.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace immortal::eventlog {

// Damage at or below the head anchor: the log does not start.
struct verify_finding {
    std::string file;
    std::uint64_t offset = 0;
    std::string what;
};

struct verify_options {
    // Streams whose revisions one reading of the log checks; if there are more, it is read again.
    std::size_t streams_max = revision_check::streams_default;
};

struct verify_report {
    static constexpr std::size_t findings_max = 1000;

    base::log_identity log;
    bool open_elsewhere = false; // a process had the log open when this began
    base::position end;          // of what was checked: the durable head when this began
    std::uint64_t segments = 0;
    std::uint64_t frames = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    std::uint64_t torn_files = 0; // kept from earlier starts
    std::uint64_t readings = 1;   // of the log
    std::vector<verify_finding> findings;
    std::uint64_t findings_left_out = 0; // beyond findings_max
    std::uint64_t damaged_places = 0;    // also among those that were left out

    // The log starts, with everything that was ever acknowledged.
    [[nodiscard]] bool sound() const { return damaged_places == 0; }
};

// Checks the head anchor, every segment's header, every frame's header and place, the hash chain,
// and every record: checksum, order of positions and times, revisions of each stream without a gap.
// After damage it goes on with the next frame or segment that can be found. The log is checked up
// to the durable head of the beginning (without an anchor: all of it); what stands behind it was
// never acknowledged. The folder's lock is not held: a process may have the log open, open it
// meanwhile, write and scavenge. Memory is bounded by the options and the largest frame. Errors:
// not_found (no log in `folder`), already_exists with reason "in_use" (a restore writes into the
// folder, or the log is being made), unavailable.
[[nodiscard]] base::result<verify_report>
verify(const std::string& folder, base::file_system& files, const verify_options& options = {});

} // namespace immortal::eventlog
