// The leases on the 16 partitions and their checkpoints, as rows of `projection_checkpoints`.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventstore/event_store.hpp"
#include "postgres/database.hpp"
#include "readmodel/partition.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace immortal::readmodel {

using boost::asio::awaitable;
using std::chrono::milliseconds;

struct lease {
    std::size_t partition = 0;
    std::int64_t epoch = 0; // every change of hands raises it: the fence
    std::optional<base::position> position;
};

// Refuses (errc::mismatch, naming `immortal rebuild`) checkpoints of another log or epoch, or
// beyond the end of `store`. Another process may have written and projected what the store's head()
// does not tell yet: before a refusal the store itself is asked for its last event. Errors also:
// those of the store.
awaitable<base::status> check_checkpoints(postgres::database& database,
                                          eventstore::event_store& store);

// Whether the read model, or a part of it, was made from `log`.
awaitable<base::result<bool>> is_made_from(postgres::database& database, base::log_identity log);

// Whether it was made from another log than `log`, whose epoch does not matter.
awaitable<base::result<bool>> is_made_from_another(postgres::database& database,
                                                   base::log_identity log);

struct lease_request {
    std::string owner;
    base::log_identity log;
    milliseconds duration{0};
    std::size_t count_max = partition_count;
    bool take_over = false; // also unexpired ones of others
};
// Takes free leases (or all) at a new epoch; never more than asked for. May give none.
awaitable<base::result<std::vector<lease>>> acquire_leases(postgres::database& database,
                                                           lease_request request);

// Prolongs. conflict: one of them was lost.
awaitable<base::status> renew_leases(postgres::database& database, std::vector<lease> leases,
                                     milliseconds duration);

// Gives them back; best effort.
awaitable<void> release_leases(postgres::database& database, std::vector<lease> leases);

// What became of a transaction whose outcome is unknown: moved `leases` to `to`, or not.
enum class fence_state : std::uint8_t { moved, not_moved, lost };
awaitable<base::result<fence_state>> read_fence(postgres::database& database,
                                                std::vector<lease> leases, base::position to);

// The fence as the first statement of a transaction. `to` empty: prolongs only.
[[nodiscard]] postgres::query fence_query(const std::vector<lease>& leases,
                                          std::optional<base::position> to, milliseconds duration);

} // namespace immortal::readmodel
