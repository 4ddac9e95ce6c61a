#include "readmodel/views.hpp"

#include "cache/service.hpp"

#include <atomic>
#include <mutex>
#include <utility>

namespace immortal::readmodel {

struct views::state {
    state(queries& q, progress& p, eventstore::event_store& s, cache::service* c,
          const base::clock& k, view_settings v)
        : sql(q), applied(p), store(s), shared(c), clock(k), settings(v) {}

    queries& sql;
    progress& applied;
    eventstore::event_store& store;
    cache::service* shared;
    const base::clock& clock;
    view_settings settings;

    // How far the read model was a while ago: what bounds the age of a cached page.
    std::mutex mutex;
    base::steady_time sampled_at{};
    std::optional<base::position> older;
    std::optional<base::position> newer;

    // The position that a page must contain to be at most `page_age` old.
    std::optional<base::position> page_floor() {
        const std::lock_guard lock(mutex);
        const auto now = clock.steady_now();
        if (!newer || now - sampled_at >= settings.page_age / 2) {
            older = newer;
            newer = applied.applied_everywhere();
            sampled_at = now;
        }
        return older ? older : newer;
    }
};

namespace {

using after = views::after;

base::error late() {
    base::error e{base::errc::behind,
                  "The read model has not reached the position asked for yet. Try again soon.",
                  "read_model_behind"};
    e.retry_after_ms = 200;
    return e;
}

template <typename T>
view to_view(const answer<std::optional<T>>& from) {
    view out{from.position, from.as_of, !from.value, {}};
    if (from.value) {
        out.payload = base::encode_text(*from.value);
    }
    return out;
}

template <typename T>
view to_view(const answer<std::vector<T>>& from) {
    // A list is as new as its source: the newest of its rows may leave it again.
    return {from.as_of, from.as_of, false, base::encode_text(from.value)};
}

template <typename T>
base::result<view> finish(base::result<answer<T>> from, after at_least) {
    if (!from) {
        return base::fail(std::move(from.error()));
    }
    view out = to_view(*from);
    if (!cache::passes(out, at_least)) {
        return base::fail(late()); // the checkpoint went back between the wait and the read
    }
    return out;
}

using state = views::state;

cache::leaderboard* board_of(state& s, board which) {
    return s.shared == nullptr ? nullptr : s.shared->board(name_of(which));
}

awaitable<base::result<view>> load_player(state& s, base::uuid id, after at_least) {
    if (at_least) {
        if (auto in_time = co_await s.applied.wait_owner(id, *at_least, s.settings.after_deadline);
            !in_time) {
            co_return base::fail(std::move(in_time.error()));
        }
    }
    co_return finish(co_await s.sql.player(id), at_least);
}

awaitable<base::result<view>> load_statistics(state& s, base::uuid id, after at_least) {
    if (at_least) {
        if (auto in_time = co_await s.applied.wait_owner(id, *at_least, s.settings.after_deadline);
            !in_time) {
            co_return base::fail(std::move(in_time.error()));
        }
    }
    co_return finish(co_await s.sql.statistics(id), at_least);
}

awaitable<base::result<view>> load_techniques(state& s, base::uuid id, after at_least) {
    if (at_least) {
        if (auto in_time = co_await s.applied.wait_owner(id, *at_least, s.settings.after_deadline);
            !in_time) {
            co_return base::fail(std::move(in_time.error()));
        }
    }
    co_return finish(co_await s.sql.techniques(id), at_least);
}

awaitable<base::status> wait_all(state& s, after at_least) {
    if (!at_least) {
        co_return base::status{};
    }
    co_return co_await s.applied.wait_everywhere(*at_least, s.settings.after_deadline);
}

awaitable<base::result<view>> load_cultivation(state& s, base::uuid session, after at_least) {
    if (auto in_time = co_await wait_all(s, at_least); !in_time) {
        co_return base::fail(std::move(in_time.error()));
    }
    co_return finish(co_await s.sql.cultivation(session), at_least);
}

// The order from the sorted set, the names from SQL. Empty: the sorted set cannot answer now.
awaitable<std::optional<view>> page_from_board(state& s, board which, std::int64_t limit,
                                               std::int64_t offset, after at_least) {
    cache::leaderboard* ranks = board_of(s, which);
    if (ranks == nullptr) {
        co_return std::nullopt;
    }
    const auto page = co_await ranks->top(static_cast<std::uint32_t>(limit),
                                          static_cast<std::uint64_t>(offset), at_least);
    if (!page) {
        co_return std::nullopt;
    }
    std::vector<base::uuid> ids;
    for (const cache::board_row& row : page->rows) {
        ids.push_back(row.player);
    }
    const auto lines = co_await s.sql.lines(which, std::move(ids));
    if (!lines) {
        co_return std::nullopt;
    }
    std::vector<rank_view> out;
    for (const cache::board_row& row : page->rows) {
        for (const rank_view& line : lines->value) {
            if (line.id == row.player) {
                out.push_back(line);
                out.back().rank = static_cast<std::int64_t>(row.rank);
                out.back().score = row.score;
                out.back().position = row.position;
            }
        }
    }
    if (out.size() != page->rows.size()) {
        co_return std::nullopt; // a player whose row is not there yet: let SQL answer alone
    }
    co_return view{page->as_of, page->as_of, false, base::encode_text(out)};
}

awaitable<base::result<view>> load_page(state& s, board which, std::int64_t limit,
                                        std::int64_t offset, after at_least) {
    if (auto in_time = co_await wait_all(s, at_least); !in_time) {
        co_return base::fail(std::move(in_time.error()));
    }
    if (auto page = co_await page_from_board(s, which, limit, offset, at_least)) {
        co_return std::move(*page);
    }
    co_return finish(co_await s.sql.leaderboard(which, limit, offset), at_least);
}

// One loader for all: the cache calls it when no level has the value.
using load_function = awaitable<base::result<view>> (*)(state&, base::uuid, after);

awaitable<base::result<view>> through_cache(state& s, cache::key where, load_function load,
                                            base::uuid id, after at_least) {
    if (s.shared == nullptr) {
        co_return co_await load(s, id, at_least);
    }
    co_return co_await s.shared->values().get_or_load(
        std::move(where), at_least,
        [&s, load, id](std::optional<base::position> needed) { return load(s, id, needed); });
}

// An `after` beyond the end of the log would wait for ever.
base::status check_after(const state& s, after at_least) {
    if (!at_least) {
        return {};
    }
    const auto head = s.store.head();
    if (head && *at_least <= *head) {
        return {};
    }
    return base::fail(base::errc::invalid_argument,
                      "`after` lies beyond the end of the event log. Use a `position` that an "
                      "answer of this service gave.",
                      "invalid_parameter", "after");
}

} // namespace

views::views(queries& sql, progress& applied, eventstore::event_store& store, cache::service* uses,
             const base::clock& clock, view_settings settings)
    : state_(std::make_unique<state>(sql, applied, store, uses, clock, settings)) {}

views::~views() = default;

awaitable<base::result<view>> views::player(base::uuid id, after at_least) {
    if (auto ok = check_after(*state_, at_least); !ok) {
        co_return base::fail(std::move(ok.error()));
    }
    co_return co_await through_cache(*state_, cache::keys::player(id), load_player, id, at_least);
}

awaitable<base::result<view>> views::statistics(base::uuid player, after at_least) {
    if (auto ok = check_after(*state_, at_least); !ok) {
        co_return base::fail(std::move(ok.error()));
    }
    co_return co_await through_cache(*state_, cache::keys::player_stats(player), load_statistics,
                                     player, at_least);
}

awaitable<base::result<view>> views::techniques(base::uuid player, after at_least) {
    if (auto ok = check_after(*state_, at_least); !ok) {
        co_return base::fail(std::move(ok.error()));
    }
    co_return co_await through_cache(*state_, cache::keys::player_techniques(player),
                                     load_techniques, player, at_least);
}

awaitable<base::result<view>> views::cultivation(base::uuid session, after at_least) {
    if (auto ok = check_after(*state_, at_least); !ok) {
        co_return base::fail(std::move(ok.error()));
    }
    co_return co_await through_cache(*state_, cache::keys::cultivation_record(session),
                                     load_cultivation, session, at_least);
}

awaitable<base::result<view>> views::players_of(base::uuid user, after at_least) {
    if (auto ok = check_after(*state_, at_least); !ok) {
        co_return base::fail(std::move(ok.error()));
    }
    if (auto in_time = co_await wait_all(*state_, at_least); !in_time) {
        co_return base::fail(std::move(in_time.error()));
    }
    co_return finish(co_await state_->sql.players_of(user), at_least);
}

awaitable<base::result<view>> views::leaderboard(board which, std::int64_t limit,
                                                 std::int64_t offset, after at_least) {
    if (auto ok = check_after(*state_, at_least); !ok) {
        co_return base::fail(std::move(ok.error()));
    }
    state& s = *state_;
    if (s.shared == nullptr || limit < 1 || limit > page_size_max || offset < 0) {
        co_return co_await load_page(s, which, limit, offset, at_least);
    }
    const auto floor = s.page_floor();
    const after needed = std::max(at_least, floor); // an empty optional is the smallest
    co_return co_await s.shared->values().get_or_load(
        cache::keys::leaderboard_page(name_of(which), static_cast<std::uint64_t>(offset),
                                      static_cast<std::uint64_t>(limit)),
        needed, [&s, which, limit, offset](std::optional<base::position> at) {
            return load_page(s, which, limit, offset, at);
        });
}

awaitable<base::result<view>> views::rank(board which, base::uuid player, after at_least) {
    if (auto ok = check_after(*state_, at_least); !ok) {
        co_return base::fail(std::move(ok.error()));
    }
    state& s = *state_;
    if (auto in_time = co_await wait_all(s, at_least); !in_time) {
        co_return base::fail(std::move(in_time.error()));
    }
    if (cache::leaderboard* ranks = board_of(s, which); ranks != nullptr) {
        const auto found = co_await ranks->rank(player, at_least);
        if (found && !found->row) {
            co_return view{{}, found->as_of, true, {}};
        }
        if (found) {
            const auto line = co_await s.sql.lines(which, {player});
            if (line && line->value.size() == 1) {
                rank_view out = line->value.front();
                out.rank = static_cast<std::int64_t>(found->row->rank);
                out.score = found->row->score;
                out.position = found->row->position;
                co_return view{out.position, found->as_of, false, base::encode_text(out)};
            }
        }
    }
    co_return finish(co_await s.sql.rank(which, player), at_least);
}

} // namespace immortal::readmodel
