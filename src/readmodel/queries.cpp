#include "readmodel/queries.hpp"

#include "readmodel/partition.hpp"
#include "readmodel/sql_rows.hpp"

#include <utility>

namespace immortal::readmodel {

namespace {

// Every statement begins its list with the checkpoint's position and whether it belongs to our log.
#define IMMORTAL_SOURCE_OF_ONE                                                                     \
    "SELECT COALESCE(c.position, 0), "                                                             \
    "c.log_id IS NULL OR (c.log_id = $1::uuid AND c.log_epoch = $2::integer), "
#define IMMORTAL_SOURCE_OF_ALL                                                                     \
    "WITH source AS (SELECT COALESCE(min(COALESCE(position, 0)), 0) AS as_of, "                    \
    "bool_and(log_id IS NULL OR (log_id = $1::uuid AND log_epoch = $2::integer)) AS ours "         \
    "FROM projection_checkpoints) SELECT source.as_of, source.ours, "

base::error foreign_rows() {
    return {base::errc::mismatch,
            "The read model was made from another event log. Name the event store that holds its "
            "events, or run `immortal rebuild`."};
}

base::status check_source(const postgres::rows& rows) {
    if (rows.empty()) {
        return base::fail(base::errc::internal, "The read model has no checkpoints.");
    }
    return rows.get<bool>(0, 1) ? base::status{} : base::status(base::fail(foreign_rows()));
}

postgres::query with_log(postgres::sql_text text, const base::log_identity& log) {
    auto q = postgres::reading(text);
    q.values.add(log.id).add(log.epoch);
    return q;
}

// The answer to a statement that gives one row, whose value is NULL if absent; the value begins in
// column 2.
template <typename T, typename Read>
base::result<answer<std::optional<T>>> read_one(const base::result<postgres::rows>& rows,
                                                Read read) {
    if (!rows) {
        return base::fail(rows.error());
    }
    if (const auto ours = check_source(*rows); !ours) {
        return base::fail(ours.error());
    }
    answer<std::optional<T>> out;
    out.as_of = rows->get<base::position>(0, 0);
    if (!rows->is_null(0, 2)) {
        out.value = read(*rows, std::size_t{0}, std::size_t{2});
        out.position = out.value->position;
    }
    return out;
}

// The answer to a statement that gives one row a value, or one row with a NULL in column 2.
template <typename T, typename Read>
base::result<answer<std::vector<T>>> read_many(const base::result<postgres::rows>& rows,
                                               Read read) {
    if (!rows) {
        return base::fail(rows.error());
    }
    if (const auto ours = check_source(*rows); !ours) {
        return base::fail(ours.error());
    }
    answer<std::vector<T>> out;
    out.as_of = rows->get<base::position>(0, 0);
    for (std::size_t i = 0; i < rows->size(); ++i) {
        if (rows->is_null(i, 2)) {
            continue;
        }
        out.value.push_back(read(*rows, i, std::size_t{2}));
        out.position = std::max(out.position, out.value.back().position);
    }
    return out;
}

rank_view read_rank(const postgres::rows& rows, std::size_t row, std::size_t first) {
    rank_view r;
    r.id = rows.get<base::uuid>(row, first);
    r.name = rows.get<std::string>(row, first + 1);
    r.level = rows.get<std::int32_t>(row, first + 2);
    r.realm = rows.get<std::string>(row, first + 3);
    r.score = rows.get<std::int64_t>(row, first + 4);
    r.position = rows.get<base::position>(row, first + 5);
    r.rank = rows.get<std::int64_t>(row, first + 6);
    return r;
}

// Three boards, one shape: score, score_position, id.
#define IMMORTAL_CULTIVATION_BOARD                                                                 \
    "(SELECT player_id, total_experience_from_cultivation AS score, cultivation_position AS at "   \
    "FROM player_statistics_totals WHERE total_experience_from_cultivation > 0) b"
#define IMMORTAL_LEVEL_BOARD                                                                       \
    "(SELECT id AS player_id, level AS score, level_position AS at FROM players) b"
#define IMMORTAL_WEALTH_BOARD                                                                      \
    "(SELECT id AS player_id, wealth AS score, wealth_position AS at FROM players) b"

#define IMMORTAL_BOARD_PAGE(board)                                                                 \
    IMMORTAL_SOURCE_OF_ALL                                                                         \
    "x.id, x.name, x.level, x.realm, x.score, x.at, x.rank FROM source LEFT JOIN LATERAL ("        \
    "SELECT p.id, p.name, p.level, p.realm, b.score, b.at, "                                       \
    "$4::bigint + row_number() OVER (ORDER BY b.score DESC, b.at, b.player_id) AS rank FROM "      \
    "(SELECT * FROM " board                                                                        \
    " ORDER BY b.score DESC, b.at, b.player_id LIMIT $3::bigint OFFSET $4::bigint) b "             \
    "JOIN players p ON p.id = b.player_id) x ON true ORDER BY x.rank"

#define IMMORTAL_BOARD_RANK(board)                                                                 \
    IMMORTAL_SOURCE_OF_ALL                                                                         \
    "x.id, x.name, x.level, x.realm, x.score, x.at, x.rank FROM source LEFT JOIN LATERAL ("        \
    "SELECT p.id, p.name, p.level, p.realm, own.score, own.at, "                                   \
    "(SELECT 1 + count(*) FROM " board                                                             \
    " WHERE b.score > own.score OR (b.score = own.score AND (b.at < own.at OR (b.at = own.at "     \
    "AND b.player_id < own.player_id)))) AS rank "                                                 \
    "FROM (SELECT * FROM " board                                                                   \
    " WHERE b.player_id = $3::uuid) own JOIN players p ON p.id = own.player_id) x ON true"

#define IMMORTAL_BOARD_LINES(board)                                                                \
    IMMORTAL_SOURCE_OF_ALL                                                                         \
    "x.id, x.name, x.level, x.realm, x.score, x.at, 0 FROM source LEFT JOIN LATERAL ("             \
    "SELECT p.id, p.name, p.level, p.realm, b.score, b.at FROM " board                             \
    " JOIN players p ON p.id = b.player_id WHERE b.player_id = ANY($3::uuid[])) x ON true"

struct board_statements {
    postgres::sql_text page;
    postgres::sql_text rank;
    postgres::sql_text lines;
};

board_statements statements_of(board which) {
    switch (which) {
    case board::cultivation:
        return {IMMORTAL_BOARD_PAGE(IMMORTAL_CULTIVATION_BOARD),
                IMMORTAL_BOARD_RANK(IMMORTAL_CULTIVATION_BOARD),
                IMMORTAL_BOARD_LINES(IMMORTAL_CULTIVATION_BOARD)};
    case board::level:
        return {IMMORTAL_BOARD_PAGE(IMMORTAL_LEVEL_BOARD),
                IMMORTAL_BOARD_RANK(IMMORTAL_LEVEL_BOARD),
                IMMORTAL_BOARD_LINES(IMMORTAL_LEVEL_BOARD)};
    case board::wealth:
        break;
    }
    return {IMMORTAL_BOARD_PAGE(IMMORTAL_WEALTH_BOARD), IMMORTAL_BOARD_RANK(IMMORTAL_WEALTH_BOARD),
            IMMORTAL_BOARD_LINES(IMMORTAL_WEALTH_BOARD)};
}

} // namespace

queries::queries(postgres::database& database, eventstore::event_store& store)
    : database_(database), store_(store) {}

awaitable<base::result<answer<std::optional<player_view>>>> queries::player(base::uuid id) {
    auto q = with_log(IMMORTAL_SOURCE_OF_ONE IMMORTAL_PLAYER_COLUMNS
                      " FROM projection_checkpoints c LEFT JOIN players p ON p.id = $3::uuid "
                      "WHERE c.partition = $4::smallint",
                      store_.identity());
    q.values.add(id).add(partition_of(id));
    co_return read_one<player_view>(co_await database_.run(std::move(q)), read_player);
}

awaitable<base::result<answer<std::optional<statistics_view>>>>
queries::statistics(base::uuid player) {
    auto q = with_log(IMMORTAL_SOURCE_OF_ONE IMMORTAL_STATISTICS_COLUMNS
                      " FROM projection_checkpoints c "
                      "LEFT JOIN players p ON p.id = $3::uuid "
                      "LEFT JOIN player_statistics_totals t ON t.player_id = $3::uuid "
                      "WHERE c.partition = $4::smallint",
                      store_.identity());
    q.values.add(player).add(partition_of(player));
    co_return read_one<statistics_view>(co_await database_.run(std::move(q)), read_statistics);
}

awaitable<base::result<answer<std::optional<technique_list>>>>
queries::techniques(base::uuid player) {
    auto q = with_log("SELECT COALESCE(q.position, 0), "
                      "q.log_id IS NULL OR (q.log_id = $1::uuid AND q.log_epoch = $2::integer), "
                      "p.id, " IMMORTAL_TECHNIQUE_COLUMNS
                      " FROM projection_checkpoints q LEFT JOIN players p ON p.id = $3::uuid "
                      "LEFT JOIN player_techniques k ON k.player_id = p.id "
                      "LEFT JOIN techniques c ON c.technique_id = k.technique_id "
                      "WHERE q.partition = $4::smallint ORDER BY k.technique_id COLLATE \"C\"",
                      store_.identity());
    q.values.add(player).add(partition_of(player));
    const auto rows = co_await database_.run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    if (const auto ours = check_source(*rows); !ours) {
        co_return base::fail(ours.error());
    }
    answer<std::optional<technique_list>> out;
    out.as_of = rows->get<base::position>(0, 0);
    if (rows->is_null(0, 2)) {
        co_return out;
    }
    out.value = technique_list{player, {}, {}};
    for (std::size_t i = 0; i < rows->size() && !rows->is_null(i, 3); ++i) {
        out.value->items.push_back(read_technique(*rows, i, 3));
        out.value->position = std::max(out.value->position, out.value->items.back().position);
    }
    out.position = out.value->position;
    co_return out;
}

awaitable<base::result<answer<std::optional<cultivation_view>>>>
queries::cultivation(base::uuid session) {
    auto q = with_log(IMMORTAL_SOURCE_OF_ALL IMMORTAL_CULTIVATION_COLUMNS
                      " FROM source LEFT JOIN cultivation_records r ON r.id = $3::uuid",
                      store_.identity());
    q.values.add(session);
    co_return read_one<cultivation_view>(co_await database_.run(std::move(q)), read_cultivation);
}

awaitable<base::result<answer<std::vector<player_view>>>> queries::players_of(base::uuid user) {
    auto q = with_log(IMMORTAL_SOURCE_OF_ALL IMMORTAL_PLAYER_COLUMNS
                      " FROM source LEFT JOIN (SELECT * FROM players WHERE user_id = $3::uuid "
                      "ORDER BY created_at, id LIMIT $4::bigint) p ON true "
                      "ORDER BY p.created_at, p.id",
                      store_.identity());
    q.values.add(user).add(page_size_max);
    co_return read_many<player_view>(co_await database_.run(std::move(q)), read_player);
}

awaitable<base::result<std::vector<base::uuid>>> queries::named_players_of(base::uuid user,
                                                                           base::uuid after) {
    auto q = postgres::reading("SELECT id FROM players WHERE user_id = $1::uuid AND name <> '' "
                               "AND id > $2::uuid ORDER BY id LIMIT $3::bigint");
    q.values.add(user).add(after).add(page_size_max);
    const auto rows = co_await database_.run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    std::vector<base::uuid> out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        out.push_back(rows->get<base::uuid>(i, 0));
    }
    co_return out;
}

awaitable<base::result<answer<std::vector<rank_view>>>>
queries::leaderboard(board which, std::int64_t limit, std::int64_t offset) {
    if (limit < 1 || limit > page_size_max) {
        co_return base::fail(base::errc::invalid_argument,
                             "`limit` must be from 1 to " + std::to_string(page_size_max) + ".",
                             "invalid_parameter", "limit");
    }
    if (offset < 0) {
        co_return base::fail(base::errc::invalid_argument, "`offset` must not be negative.",
                             "invalid_parameter", "offset");
    }
    auto q = with_log(statements_of(which).page, store_.identity());
    q.values.add(limit).add(offset);
    co_return read_many<rank_view>(co_await database_.run(std::move(q)), read_rank);
}

awaitable<base::result<answer<std::optional<rank_view>>>> queries::rank(board which,
                                                                        base::uuid player) {
    auto q = with_log(statements_of(which).rank, store_.identity());
    q.values.add(player);
    co_return read_one<rank_view>(co_await database_.run(std::move(q)), read_rank);
}

awaitable<base::result<answer<std::vector<rank_view>>>>
queries::lines(board which, std::vector<base::uuid> players) {
    auto q = with_log(statements_of(which).lines, store_.identity());
    q.values.add_array(players);
    co_return read_many<rank_view>(co_await database_.run(std::move(q)), read_rank);
}

} // namespace immortal::readmodel
