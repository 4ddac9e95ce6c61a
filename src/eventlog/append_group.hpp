// What the writer stages together and makes durable together.
#pragma once

#include "eventlog/append_queue.hpp"
#include "eventlog/index.hpp"
#include "eventlog/recent_ids.hpp"

#include <deque>
#include <optional>

namespace immortal::eventlog {

// Used by the writer thread, and by the helper that commits it while it is submitted.
struct append_group {
    struct answer {
        std::shared_ptr<append_ticket> ticket;
        base::result<append_outcome> outcome;
        bool staged = false; // its frame is one of `frames`; else it only rests on earlier ones
    };
    struct frame {
        base::position begin;
        std::size_t entries = 0;
    };

    std::vector<pending_append> appends; // keeps alive what the rest refers to
    std::vector<answer> answers;
    std::vector<frame> frames;
    std::vector<index_entry> entries; // of the frames, in the order of the log
    std::vector<base::uuid> ids;      // of the entries
    // Per entry: what its id stood for in the table of recent ids before it.
    std::vector<std::optional<known_event>> earlier_events;
    std::deque<std::string> correlations;      // that entries refer to
    std::vector<std::string> changed_metadata; // streams described by what is staged

    // Asserts that frames, entries, ids and answers agree (invariant 5 of writer.hpp).
    void check() const;
    // Takes the entries out of the index and the table again, the newest first.
    void roll_back(log_index& index, recent_ids& table) const;
    // The frames are gone; what is left are answers that say so.
    void forget_frames();
    void clear();
    [[nodiscard]] bool empty() const { return answers.empty() && frames.empty(); }
};

} // namespace immortal::eventlog
