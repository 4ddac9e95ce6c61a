#include "readmodel/freshener.hpp"

#include "cache/service.hpp"
#include "readmodel/board_source.hpp"
#include "readmodel/sql_rows.hpp"
#include "runtime/async_event.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace immortal::readmodel {

namespace {

constexpr std::size_t chunk = 500;
constexpr std::size_t known_totals_max = 100'000; // about 25 MB
constexpr milliseconds idle_check{1000};

struct lane_range {
    base::position from;
    base::position to;
    friend auto operator<=>(const lane_range&, const lane_range&) = default;
};

// What waits for the cache.
struct pending_changes {
    std::unordered_map<base::uuid, player_row> players;
    std::unordered_map<base::uuid, cultivation_view> records;
    std::unordered_set<base::uuid> statistics;
    std::unordered_set<base::uuid> techniques;
    std::unordered_map<base::uuid, statistics_totals> totals; // of some of `statistics`
    std::unordered_set<base::uuid> unknown_totals;            // what was known of them is not so
    bool all_unknown = false;                                 // of anybody
    std::array<std::optional<lane_range>, partition_count> lanes;
    base::position to;
    bool any = false;

    [[nodiscard]] std::size_t size() const { return players.size() + records.size(); }

    void merge_totals(const prepared_batch& batch, std::vector<statistics_totals> made) {
        const auto forget = [&](const base::uuid& id) {
            totals.erase(id);
            unknown_totals.insert(id);
        };
        for (const statistics_change& row : batch.statistics) {
            forget(row.player_id);
        }
        for (const base::uuid& owner : batch.replaced) {
            forget(owner);
            statistics.insert(owner);
        }
        for (statistics_totals& row : made) {
            unknown_totals.erase(row.player_id);
            totals.insert_or_assign(row.player_id, std::move(row));
        }
    }

    void merge(prepared_batch batch, const std::vector<lease>& before,
               std::vector<statistics_totals> made) {
        merge_totals(batch, std::move(made));
        any = true;
        to = std::max(to, batch.to);
        for (player_row& row : batch.players) {
            const base::uuid id = row.view.id;
            statistics.insert(id);
            players.insert_or_assign(id, std::move(row));
        }
        for (const technique_row& row : batch.techniques) {
            techniques.insert(row.player_id);
        }
        for (cultivation_view& row : batch.records) {
            const base::uuid id = row.session_id;
            records.insert_or_assign(id, std::move(row));
        }
        for (const statistics_change& row : batch.statistics) {
            statistics.insert(row.player_id);
        }
        for (const lease& one : before) {
            const base::position from = one.position.value_or(base::position{});
            auto& lane = lanes[one.partition];
            if (lane) {
                lane->to = std::max(lane->to, batch.to);
            } else {
                lane = lane_range{from, std::max(from, batch.to)};
            }
        }
    }
};

cache::entry entry_of(base::position position, base::position as_of, std::string payload) {
    return {position, std::max(position, as_of), false, std::move(payload)};
}

struct score {
    board which;
    cache::score_change change;
};

} // namespace

struct freshener::state {
    state(boost::asio::any_io_executor executor, cache::service& to, postgres::database& from)
        : target(to), database(from), tasks(std::move(executor), "freshener") {}

    cache::service& target;
    postgres::database& database;
    runtime::task_group tasks;
    runtime::async_event changed;
    std::mutex mutex;
    pending_changes pending;
    std::array<std::optional<base::position>, partition_count> lanes_at; // loop only
    std::unordered_map<base::uuid, statistics_totals> totals; // loop only; the present ones
    std::array<bool, 3> rebuilding{};                         // under the mutex
    bool stopped = false;                                     // under the mutex
};

namespace {

using state = freshener::state;

constexpr std::array boards{board::cultivation, board::level, board::wealth};

void add_own_rows(const pending_changes& from, std::vector<cache::fresh_entry>& out) {
    for (const auto& [id, row] : from.players) {
        out.push_back({cache::keys::player(id),
                       entry_of(row.view.position, from.to, base::encode_text(row.view))});
    }
    std::unordered_map<base::uuid, const cultivation_view*> latest;
    for (const auto& [id, row] : from.records) {
        const auto entry = entry_of(row.position, from.to, base::encode_text(row));
        out.push_back({cache::keys::cultivation_record(id), entry});
        const cultivation_view*& newest = latest[row.player_id];
        if (newest == nullptr || newest->position < row.position) {
            newest = &row;
        }
    }
    for (const auto& [player, row] : latest) {
        out.push_back({cache::keys::cultivation_session(player),
                       entry_of(row->position, from.to, base::encode_text(*row))});
    }
}

std::vector<std::vector<base::uuid>> in_chunks(const std::unordered_set<base::uuid>& ids) {
    std::vector<std::vector<base::uuid>> out;
    for (const base::uuid& id : ids) {
        if (out.empty() || out.back().size() == chunk) {
            out.emplace_back();
        }
        out.back().push_back(id);
    }
    return out;
}

// PostgreSQL is away: these are read again with the next round.
void again(state& s, std::unordered_set<base::uuid> pending_changes::* which,
           const std::vector<base::uuid>& ids, base::position to) {
    const std::lock_guard lock(s.mutex);
    (s.pending.*which).insert(ids.begin(), ids.end());
    s.pending.to = std::max(s.pending.to, to);
    s.pending.any = !s.stopped;
}

// What the transactions said of the totals replaces what was known.
void learn_totals(state& s, const pending_changes& from) {
    if (from.all_unknown || s.totals.size() + from.totals.size() > known_totals_max) {
        s.totals.clear();
    }
    for (const base::uuid& id : from.unknown_totals) {
        s.totals.erase(id);
    }
    for (const auto& [id, row] : from.totals) {
        s.totals.insert_or_assign(id, row);
    }
}

void add_statistics_of(const pending_changes& from, const statistics_view& row,
                       const statistics_totals& totals, base::position as_of,
                       std::vector<cache::fresh_entry>& out, std::vector<score>& scores) {
    out.push_back(
        {cache::keys::player_stats(row.id), entry_of(row.position, as_of, base::encode_text(row))});
    const auto& lane = from.lanes[partition_of(row.id)];
    if (totals.experience_from_cultivation > 0 &&
        (!lane || totals.cultivation_position > lane->from)) {
        scores.push_back(
            {board::cultivation,
             {row.id, totals.experience_from_cultivation, totals.cultivation_position}});
    }
}

// Statistics are kept by increments: their absolute values come from the transaction that changed
// them last, or else from the tables.
awaitable<void> add_statistics(state& s, const pending_changes& from,
                               std::vector<cache::fresh_entry>& out, std::vector<score>& scores) {
    std::unordered_set<base::uuid> unknown;
    for (const base::uuid& id : from.statistics) {
        const auto player = from.players.find(id);
        const auto totals = s.totals.find(id);
        // Totals that were read may be of a batch to come: they do not go with this player's row.
        if (player == from.players.end() || totals == s.totals.end() ||
            totals->second.position > from.to) {
            unknown.insert(id);
            continue;
        }
        add_statistics_of(from, make_statistics(player->second.view, totals->second),
                          totals->second, from.to, out, scores);
    }
    for (auto& ids : in_chunks(unknown)) {
        auto q = postgres::reading("SELECT (SELECT min(position) FROM projection_checkpoints), "
                                   "p.id, " IMMORTAL_TOTALS_COLUMNS ", " IMMORTAL_PLAYER_COLUMNS
                                   " FROM players p "
                                   "LEFT JOIN player_statistics_totals t ON t.player_id = p.id "
                                   "WHERE p.id = ANY($1::uuid[])");
        q.values.add_array(ids);
        const auto rows = co_await s.database.run(std::move(q));
        if (!rows) {
            again(s, &pending_changes::statistics, ids, from.to);
            continue;
        }
        for (std::size_t i = 0; i < rows->size(); ++i) {
            const auto totals = read_totals(rows->get<base::uuid>(i, 1), *rows, i, 2);
            const auto row = make_statistics(read_player(*rows, i, 2 + totals_columns), totals);
            const auto as_of = rows->get<std::optional<base::position>>(i, 0);
            add_statistics_of(from, row, totals, as_of.value_or(row.position), out, scores);
            s.totals.insert_or_assign(row.id, totals);
        }
    }
}

awaitable<void> add_techniques(state& s, const pending_changes& from,
                               std::vector<cache::fresh_entry>& out) {
    for (auto& ids : in_chunks(from.techniques)) {
        auto q = postgres::reading("SELECT k.player_id, " IMMORTAL_TECHNIQUE_COLUMNS
                                   " FROM player_techniques k "
                                   "LEFT JOIN techniques c ON c.technique_id = k.technique_id "
                                   "WHERE k.player_id = ANY($1::uuid[]) "
                                   "ORDER BY k.player_id, k.technique_id COLLATE \"C\"");
        q.values.add_array(ids);
        const auto rows = co_await s.database.run(std::move(q));
        if (!rows) {
            again(s, &pending_changes::techniques, ids, from.to);
            continue;
        }
        std::map<base::uuid, technique_list> lists;
        for (std::size_t i = 0; i < rows->size(); ++i) {
            const auto player = rows->get<base::uuid>(i, 0);
            technique_list& list = lists[player];
            list.player_id = player;
            list.items.push_back(read_technique(*rows, i, 1));
            list.position = std::max(list.position, list.items.back().position);
        }
        for (const auto& [player, list] : lists) {
            out.push_back({cache::keys::player_techniques(player),
                           entry_of(list.position, from.to, base::encode_text(list))});
        }
    }
}

void add_player_scores(const pending_changes& from, std::vector<score>& out) {
    for (const auto& [id, row] : from.players) {
        const auto& lane = from.lanes[partition_of(id)];
        const base::position since = lane ? lane->from : base::position{};
        if (row.level_position > since) {
            out.push_back({board::level, {id, row.view.level, row.level_position}});
        }
        if (row.wealth_position > since) {
            out.push_back({board::wealth, {id, row.wealth, row.wealth_position}});
        }
    }
}

awaitable<void> rebuild_board(state& s, board which) {
    if (cache::leaderboard* target = s.target.board(name_of(which))) {
        const auto done = co_await target->rebuild(
            [&s, which] { return open_board_snapshot(s.database, which); });
        if (!done) {
            (void)co_await runtime::wait_for(idle_check); // the next update asks again
        }
    }
    const std::lock_guard lock(s.mutex);
    s.rebuilding.at(static_cast<std::size_t>(which)) = false;
}

void ask_rebuild(state& s, board which) {
    {
        const std::lock_guard lock(s.mutex);
        bool& busy = s.rebuilding.at(static_cast<std::size_t>(which));
        if (busy || s.stopped) {
            return;
        }
        busy = true;
    }
    s.tasks.spawn(rebuild_board(s, which), "rebuild_board");
}

// Lanes that stand at the same place go together.
awaitable<void> update_boards(state& s, const pending_changes& from, std::vector<score> scores) {
    std::map<lane_range, std::uint64_t> groups;
    for (std::size_t i = 0; i < partition_count; ++i) {
        if (from.lanes[i]) {
            groups[*from.lanes[i]] |= std::uint64_t{1} << i;
        }
    }
    for (const board which : boards) {
        cache::leaderboard* target = s.target.board(name_of(which));
        if (target == nullptr) {
            continue;
        }
        for (const auto& [range, lanes] : groups) {
            cache::score_batch batch{lanes, range.from, range.to, {}};
            for (const score& one : scores) {
                if (one.which == which && ((lanes >> partition_of(one.change.player)) & 1u) != 0) {
                    batch.changes.push_back(one.change);
                }
            }
            const auto done = co_await target->update(std::move(batch));
            if (!done && done.error().code == base::errc::behind) {
                ask_rebuild(s, which);
            }
        }
    }
}

awaitable<void> freshen_all(state& s, pending_changes work) {
    std::vector<cache::fresh_entry> entries;
    std::vector<score> scores;
    add_own_rows(work, entries);
    add_player_scores(work, scores);
    learn_totals(s, work);
    co_await add_statistics(s, work, entries, scores);
    co_await add_techniques(s, work, entries);
    while (!entries.empty()) {
        const std::size_t count = std::min(chunk, entries.size());
        std::vector<cache::fresh_entry> part(
            std::make_move_iterator(entries.end() - static_cast<std::ptrdiff_t>(count)),
            std::make_move_iterator(entries.end()));
        entries.erase(entries.end() - static_cast<std::ptrdiff_t>(count), entries.end());
        co_await s.target.values().freshen(std::move(part));
    }
    co_await update_boards(s, work, std::move(scores));
    for (std::size_t i = 0; i < partition_count; ++i) {
        if (work.lanes[i]) {
            s.lanes_at[i] = work.lanes[i]->to;
        }
    }
}

// Nothing has happened for a while: does Redis still have the boards?
awaitable<void> check_boards(state& s) {
    pending_changes nothing;
    for (std::size_t i = 0; i < partition_count; ++i) {
        if (s.lanes_at[i]) {
            nothing.lanes[i] = lane_range{*s.lanes_at[i], *s.lanes_at[i]};
        }
    }
    co_await update_boards(s, nothing, {});
}

awaitable<void> run(state& s) {
    for (;;) {
        const auto seen = s.changed.version();
        pending_changes work;
        bool stopped = false;
        {
            const std::lock_guard lock(s.mutex);
            work = std::exchange(s.pending, {});
            stopped = s.stopped;
        }
        if (work.any) {
            s.changed.notify_all(); // there is room again
            co_await freshen_all(s, std::move(work));
            if (!s.database.available() && !stopped) {
                (void)co_await runtime::wait_for(milliseconds{50});
            }
            continue;
        }
        if (stopped) {
            co_return;
        }
        if (!co_await s.changed.wait(seen, idle_check)) {
            co_await check_boards(s);
        }
    }
}

} // namespace

freshener::freshener(boost::asio::any_io_executor executor, cache::service& target,
                     postgres::database& database)
    : state_(std::make_shared<state>(std::move(executor), target, database)) {}

freshener::~freshener() = default;

void freshener::start() {
    state_->tasks.spawn(run(*state_), "freshen");
}

awaitable<void> freshener::stop() {
    const auto shared = state_;
    {
        const std::lock_guard lock(shared->mutex);
        shared->stopped = true;
    }
    shared->changed.notify_all();
    (void)co_await shared->tasks.stop(milliseconds{10'000});
}

awaitable<void> freshener::push(prepared_batch batch, std::vector<lease> before,
                                std::vector<statistics_totals> totals) {
    const auto shared = state_;
    for (;;) {
        const auto seen = shared->changed.version();
        {
            const std::lock_guard lock(shared->mutex);
            if (shared->stopped) {
                co_return;
            }
            if (shared->pending.size() < fresh_owners_max) {
                shared->pending.merge(std::move(batch), before, std::move(totals));
                break;
            }
        }
        (void)co_await shared->changed.wait(seen, idle_check);
    }
    shared->changed.notify_all();
}

void freshener::restart() {
    const std::lock_guard lock(state_->mutex);
    state_->pending.lanes = {};
    state_->pending.totals.clear();
    state_->pending.all_unknown = true;
}

} // namespace immortal::readmodel
