// What one transaction of the projector writes: plain rows, ready to be written as often as it
// takes.
#pragma once

#include "postgres/database.hpp"
#include "readmodel/due_commands.hpp"
#include "readmodel/leases.hpp"
#include "readmodel/rows.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace immortal::readmodel {

struct player_row {
    player_view view;
    base::position level_position; // of the event that brought the present level
    std::int64_t wealth = 0;
    base::position wealth_position;
};

struct technique_row {
    base::uuid player_id;
    technique_view view;
};

// What a player's statistics gain by a batch.
struct statistics_change {
    base::uuid player_id;
    std::int64_t sessions = 0;
    std::int64_t seconds = 0;
    std::int64_t experience = 0;
    std::int64_t breakthroughs = 0;
    std::int64_t techniques = 0;
    std::int64_t masters = 0;
    base::position cultivation_position; // of the last event that gave experience; 0: none did
    base::position position;             // of the last event that changed any of it
};

struct parked_owner {
    base::uuid owner;
    base::position position;
    base::uuid event_id;
    std::string event_type;
    std::string stream;
    std::string error;
};

struct prepared_batch {
    base::position to; // everything up to here is in it
    std::size_t events = 0;
    base::utc_time newest_created{}; // of its last event
    std::vector<player_row> players;
    std::vector<technique_row> techniques;
    std::vector<cultivation_view> records;
    std::vector<statistics_change> statistics;
    std::vector<due_command> due;     // set by the batch
    std::vector<std::string> settled; // things that wait for nothing any more
    std::vector<parked_owner> parked;
    std::vector<base::uuid> replaced; // owners whose rows are deleted first

    [[nodiscard]] bool empty() const noexcept {
        return players.empty() && techniques.empty() && records.empty() && statistics.empty() &&
               due.empty() && settled.empty() && parked.empty() && replaced.empty();
    }
};

// The statements of the transaction: first the fence (see advance_checkpoints in
// sql/0002_read_model.sql), then the rows. `leases` with the positions from before the batch.
[[nodiscard]] std::vector<postgres::query> statements_of(const prepared_batch& batch,
                                                         const std::vector<lease>& leases,
                                                         milliseconds lease_time);

// The totals that the transaction brought about, from the answers to statements_of(). Of the owners
// in `batch.statistics`, no others.
[[nodiscard]] std::vector<statistics_totals> totals_of(const prepared_batch& batch,
                                                       const std::vector<postgres::rows>& answers);

// The rows alone, without the fence: to find the owner whose rows are refused.
[[nodiscard]] std::vector<postgres::query> row_statements_of(const prepared_batch& batch);

} // namespace immortal::readmodel
