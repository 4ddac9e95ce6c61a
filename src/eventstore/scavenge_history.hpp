// The history of an event log's scavenges, whoever started them, and the room for them.
//
// A scavenge is told in the stream `$scavenges-<id>` (`$scavengeStarted`, `$scavengeCompleted`),
// with links to both in `$scavenges`. A start writes nothing: that the last scavenge was
// interrupted is recorded like everything else, when the log takes it. What cannot be written now,
// on a full disk above all, is written when there is space again.
#pragma once

#include "base/random.hpp"
#include "eventlog/log.hpp"

#include <chrono>
#include <memory>

namespace immortal::eventstore {

// One thread of its own, which also keeps the reserve for scavenges (scavenger::maintain_reserve).
class scavenge_history {
public:
    struct settings {
        // How often it is tried again to write what could not be written, and to make the reserve.
        std::chrono::milliseconds period{5'000};
    };

    // Begins to record the scavenges of `log`, which outlives it. A log has one history.
    scavenge_history(eventlog::log& log, base::random_source& random);
    scavenge_history(eventlog::log& log, base::random_source& random, settings chosen);
    // Stops the scavenge that runs, tries once to write what is not written yet, and ends. What is
    // lost then is found out by the next history: a scavenge without an end was interrupted.
    ~scavenge_history();
    scavenge_history(const scavenge_history&) = delete;
    scavenge_history& operator=(const scavenge_history&) = delete;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::eventstore
