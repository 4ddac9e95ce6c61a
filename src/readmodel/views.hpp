// The queries as clients use them: through the cache (L1, Redis, then SQL), at least as new as the
// client's own write.
//
// `after`: the answer reflects at least this position of the log. A cached value passes when its
// `as_of` or `position` is at or past it; else the query waits for the owner's partition, up to the
// deadline, and then answers errc::behind (reason "read_model_behind", retry_after_ms set). An
// `after` beyond the end of the log is errc::invalid_argument (reason invalid_parameter, field
// "after").
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "cache/entry.hpp"
#include "readmodel/progress.hpp"
#include "readmodel/queries.hpp"
#include "readmodel/rows.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace immortal::cache {
class service;
}

namespace immortal::readmodel {

// `payload`: the JSON text of the structure in rows.hpp; empty when `absent`.
using view = cache::entry; // {position, as_of, absent, payload}

struct view_settings {
    std::chrono::milliseconds after_deadline{2000}; // how long a query waits for `after`
    std::chrono::milliseconds page_age{1000};       // of a cached leaderboard page, at most
};

// Thread-safe.
class views {
public:
    using after = std::optional<base::position>;

    // All outlive it. `shared` may be null: then every query goes to SQL.
    views(queries& sql, progress& applied, eventstore::event_store& store, cache::service* shared,
          const base::clock& clock, view_settings settings = {});
    ~views();
    views(const views&) = delete;
    views& operator=(const views&) = delete;

    // player_view, statistics_view, technique_list, cultivation_view.
    awaitable<base::result<view>> player(base::uuid id, after at_least = {});
    awaitable<base::result<view>> statistics(base::uuid player, after at_least = {});
    awaitable<base::result<view>> techniques(base::uuid player, after at_least = {});
    awaitable<base::result<view>> cultivation(base::uuid session, after at_least = {});
    // A JSON array of player_view. Not cached.
    awaitable<base::result<view>> players_of(base::uuid user, after at_least = {});
    // A JSON array of rank_view (pages at most `page_age` old), and one rank_view.
    awaitable<base::result<view>> leaderboard(board which, std::int64_t limit, std::int64_t offset,
                                              after at_least = {});
    awaitable<base::result<view>> rank(board which, base::uuid player, after at_least = {});

    struct state; // of the implementation

private:
    std::unique_ptr<state> state_;
};

} // namespace immortal::readmodel
