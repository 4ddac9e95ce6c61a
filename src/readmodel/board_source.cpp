#include "readmodel/board_source.hpp"

#include "readmodel/partition.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace immortal::readmodel {

namespace {

constexpr std::int64_t page_rows = 5'000;

postgres::sql_text page_statement(board which) {
    switch (which) {
    case board::cultivation:
        return "SELECT player_id, total_experience_from_cultivation, cultivation_position "
               "FROM player_statistics_totals WHERE player_id > $1::uuid "
               "AND total_experience_from_cultivation > 0 ORDER BY player_id LIMIT $2::bigint";
    case board::level:
        return "SELECT id, level, level_position FROM players WHERE id > $1::uuid "
               "ORDER BY id LIMIT $2::bigint";
    case board::wealth:
        break;
    }
    return "SELECT id, wealth, wealth_position FROM players WHERE id > $1::uuid "
           "ORDER BY id LIMIT $2::bigint";
}

struct open_snapshot {
    std::unique_ptr<postgres::transaction> transaction;
    board which;
    base::uuid after; // nil: from the beginning
};

awaitable<base::result<std::vector<cache::score_change>>>
next_page(std::shared_ptr<open_snapshot> from) {
    auto q = postgres::reading(page_statement(from->which));
    q.values.add(from->after).add(page_rows);
    const auto rows = co_await from->transaction->run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    std::vector<cache::score_change> out;
    out.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
        out.push_back({rows->get<base::uuid>(i, 0), rows->get<std::int64_t>(i, 1),
                       rows->get<base::position>(i, 2)});
    }
    if (!out.empty()) {
        from->after = out.back().player;
    }
    co_return out;
}

} // namespace

awaitable<base::result<cache::leaderboard::snapshot>>
open_board_snapshot(postgres::database& database, board which) {
    auto begun = co_await database.begin();
    if (!begun) {
        co_return base::fail(std::move(begun.error()));
    }
    auto opened = std::make_shared<open_snapshot>(std::move(*begun), which, base::uuid{});
    if (const auto level = co_await opened->transaction->run(
            postgres::reading("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"));
        !level) {
        co_return base::fail(level.error());
    }
    const auto rows = co_await opened->transaction->run(postgres::reading(
        "SELECT COALESCE(position, 0) FROM projection_checkpoints ORDER BY partition"));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    cache::leaderboard::snapshot out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        out.positions.push_back(rows->get<base::position>(i, 0));
    }
    out.next_page = [opened] { return next_page(opened); };
    co_return out;
}

} // namespace immortal::readmodel
