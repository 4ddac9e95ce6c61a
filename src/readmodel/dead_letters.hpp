// Owners that wait because one of their events could not be projected. The owner is parked, all
// others go on. The projector that leases the owner's partition acts on a request within a second.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "postgres/database.hpp"
#include "readmodel/parking.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/describe.hpp>

#include <optional>
#include <string>
#include <vector>

namespace immortal::readmodel {

using boost::asio::awaitable;

struct dead_letter {
    base::uuid owner;
    base::position position; // of the failing event
    base::uuid event_id;
    std::string event_type;
    std::string stream;
    std::string error;
    std::string state; // parked; retry, skip (asked for); skipped (done)
    base::utc_time parked_at;
};
BOOST_DESCRIBE_STRUCT(dead_letter, (),
                      (owner, position, event_id, event_type, stream, error, state, parked_at))

// At most 1,000, oldest first.
awaitable<base::result<std::vector<dead_letter>>> list_dead_letters(postgres::database& database);

// Asks for the owner's replay: with the failing event again (after a repair of the program), or
// without it, for ever (a rebuild skips it too). Errors: not_found, unavailable.
awaitable<base::status> retry_dead_letter(postgres::database& database, base::uuid owner);
awaitable<base::status> skip_dead_letter(postgres::database& database, base::uuid owner);

// What a projector must know of them; of these partitions.
awaitable<base::result<parking>> load_parking(postgres::database& database,
                                              std::vector<std::int64_t> partitions);
// Owners whose replay was asked for; at most 16.
awaitable<base::result<std::vector<base::uuid>>>
load_replay_requests(postgres::database& database, std::vector<std::int64_t> partitions);

} // namespace immortal::readmodel
