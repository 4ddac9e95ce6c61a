// Reading the derived tables. Every answer is one SQL statement, so value and `as_of` come from one
// snapshot.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "eventstore/event_store.hpp"
#include "postgres/database.hpp"
#include "readmodel/rows.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace immortal::readmodel {

using boost::asio::awaitable;

// `position`: the last event that changed the value (absent values: 0). `as_of`: everything up to
// here is in it.
template <typename T>
struct answer {
    T value = {};
    base::position position = {};
    base::position as_of = {};
};

constexpr std::int64_t page_size_max = 200;

// Thread-safe. Errors of every call: unavailable, timeout, exhausted (see postgres::database);
// internal. A row that does not exist is an empty optional, not an error.
class queries {
public:
    // Both outlive it. `log`: whose positions are meant; the tables of another log answer
    // errc::mismatch naming `immortal rebuild`.
    queries(postgres::database& database, eventstore::event_store& store);

    awaitable<base::result<answer<std::optional<player_view>>>> player(base::uuid id);
    awaitable<base::result<answer<std::optional<statistics_view>>>> statistics(base::uuid player);
    // Empty optional: no such player.
    awaitable<base::result<answer<std::optional<technique_list>>>> techniques(base::uuid player);
    awaitable<base::result<answer<std::optional<cultivation_view>>>>
    cultivation(base::uuid session);

    // The user's characters, oldest first. At most page_size_max. as_of: of all partitions.
    awaitable<base::result<answer<std::vector<player_view>>>> players_of(base::uuid user);

    // The user's characters that were not erased, in the order of their ids, those behind `after`;
    // at most page_size_max.
    awaitable<base::result<std::vector<base::uuid>>> named_players_of(base::uuid user,
                                                                      base::uuid after = {});

    // `limit` 1 to page_size_max, `offset` >= 0, else invalid_argument. as_of: of all partitions.
    awaitable<base::result<answer<std::vector<rank_view>>>>
    leaderboard(board which, std::int64_t limit, std::int64_t offset);
    // Empty: the player does not exist or has no score.
    awaitable<base::result<answer<std::optional<rank_view>>>> rank(board which, base::uuid player);
    // The lines of these players (absent ones left out), unordered, rank 0: to complete a page
    // whose order comes from the cache.
    awaitable<base::result<answer<std::vector<rank_view>>>> lines(board which,
                                                                  std::vector<base::uuid> players);

    // Newest first, from `before` (exclusive; empty: from the end) downwards; read from the event
    // store, so always up to date. `next`: give it as `before` for the following page.
    struct history_page {
        std::vector<history_entry> items;
        std::optional<base::revision> next;
    };
    awaitable<base::result<answer<history_page>>>
    history(base::uuid player, std::optional<base::revision> before, std::size_t limit);

private:
    postgres::database& database_;
    eventstore::event_store& store_;
};

// The player as of a past moment, from the event store alone; rounded down to a batch boundary.
// `as_of` is that boundary. Empty: the player did not exist yet.
awaitable<base::result<answer<std::optional<player_view>>>>
player_at(eventstore::event_store& store, base::uuid player, base::position at);
awaitable<base::result<answer<std::optional<player_view>>>>
player_at_time(eventstore::event_store& store, base::uuid player, base::utc_time at);

} // namespace immortal::readmodel
