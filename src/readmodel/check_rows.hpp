// What the check compares the log with: the rows of one page of players, in one snapshot.
#pragma once

#include "base/json.hpp"
#include "readmodel/batch.hpp"
#include "readmodel/partition.hpp"
#include "readmodel/rows.hpp"

#include <array>
#include <optional>
#include <unordered_map>
#include <vector>

namespace immortal::readmodel {

// What was read from SQL for one page of things, in one snapshot.
struct row_snapshot {
    std::array<std::optional<base::position>, partition_count> done;
    std::unordered_map<base::uuid, base::json::object> players;
    std::unordered_map<base::uuid, base::json::object> techniques; // by player; key: technique id
    std::unordered_map<base::uuid, base::json::object> records;    // by session
    std::unordered_map<base::uuid, std::vector<base::uuid>> sessions_of;
    std::unordered_map<base::uuid, base::json::object> due; // by session
    std::unordered_map<base::uuid, base::json::object> totals;
    std::unordered_map<base::uuid, statistics_view> statistics; // the view, for the cache
};

// With the checkpoints of the same snapshot. Errors: those of the database.
awaitable<base::result<row_snapshot>> read_rows(postgres::database& database,
                                                std::vector<base::uuid> players);

// A player's totals as the check compares them.
[[nodiscard]] base::json::object totals_object(const statistics_change& from);

} // namespace immortal::readmodel
