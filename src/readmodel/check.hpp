// The consistency check: folds the log and compares the result with the rows and the cache, field
// by field. Reads only. Works beside a live projector: each page of owners is compared at the
// position its rows had in one snapshot.
#pragma once

#include "base/result.hpp"
#include "eventstore/event_store.hpp"
#include "postgres/database.hpp"
#include "readmodel/rows.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace immortal::cache {
class service;
}
namespace immortal::game {
class catalog;
}

namespace immortal::readmodel {

using boost::asio::awaitable;

struct difference {
    std::string where;    // "players", "player_techniques", "cultivation_records", "statistics",
                          // "due_commands", "cache player", "leaderboard level", ..., "checkpoint"
    std::string id;       // of the row: player, session; "" for the checkpoint
    std::string field;    // JSON name; "" when the whole row is missing or too much
    std::string expected; // JSON, from the log; "" for a row that should not be
    std::string actual;   // JSON; "" for a missing row
};
BOOST_DESCRIBE_STRUCT(difference, (), (where, id, field, expected, actual))

struct check_settings {
    std::optional<std::uint64_t> sample; // about so many players instead of all
    std::uint64_t sample_seed = 0;
    std::size_t page = 256;             // players compared at a time: the bound on memory
    std::size_t differences_max = 1000; // listed; all are counted
};

struct check_report {
    std::uint64_t players = 0;  // compared
    std::uint64_t sessions = 0; // compared
    std::uint64_t cache_entries = 0;
    std::uint64_t board_entries = 0; // places on leaderboards in Redis
    std::uint64_t differences = 0;   // found
    std::uint64_t parked = 0;        // owners left out: they wait in the dead letters
    base::position as_of;            // the smallest checkpoint seen
    std::vector<difference> list;
};
BOOST_DESCRIBE_STRUCT(check_report, (),
                      (players, sessions, cache_entries, board_entries, differences, parked, as_of,
                       list))

struct check_parts {
    postgres::database& database;
    eventstore::event_store& store;
    const game::catalog& catalog;
    cache::service* shared; // may be null: not compared
};

// `report` is called after each page. Errors: unavailable, corrupt.
awaitable<base::result<check_report>> check(check_parts uses, check_settings settings = {},
                                            std::function<void(const check_report&)> report = {});

} // namespace immortal::readmodel
