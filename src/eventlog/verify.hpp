// Reads a whole log and checks everything there is to check; changes nothing. Behind
// `immortal log verify`.
#pragma once

#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace immortal::eventlog {

struct verify_finding {
    enum class severity : std::uint8_t {
        damage, // at or below the head anchor: the log does not start
        torn,   // beyond it: never acknowledged, the next start cuts it off
    };
    severity how = severity::damage;
    std::string file;
    std::uint64_t offset = 0;
    std::string what;
};

struct verify_report {
    base::log_identity log;
    std::uint64_t segments = 0;
    std::uint64_t frames = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    std::uint64_t torn_files = 0; // kept from earlier starts
    std::vector<verify_finding> findings;

    // The log starts, with everything that was ever acknowledged.
    [[nodiscard]] bool sound() const;
};

// Checks the head anchor, every segment's header, every frame's header and place, the hash chain,
// and every record: checksum, order of positions and times, revisions of each stream without a gap.
// After damage it goes on with the next frame or segment that can be found. Errors: not_found (no
// log in `folder`), already_exists with reason "in_use", unavailable.
[[nodiscard]] base::result<verify_report> verify(const std::string& folder,
                                                 base::file_system& files);

} // namespace immortal::eventlog
