// All scores of a leaderboard from one consistent snapshot of the tables, to build the sorted set
// anew.
#pragma once

#include "cache/leaderboard.hpp"
#include "postgres/database.hpp"
#include "readmodel/rows.hpp"

#include <boost/asio/awaitable.hpp>

namespace immortal::readmodel {

using boost::asio::awaitable;

// Holds a connection until the snapshot is destroyed. `database` outlives it.
awaitable<base::result<cache::leaderboard::snapshot>>
open_board_snapshot(postgres::database& database, board which);

} // namespace immortal::readmodel
