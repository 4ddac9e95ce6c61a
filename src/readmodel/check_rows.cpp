#include "readmodel/check_rows.hpp"

#include "game/cultivation.hpp"
#include "readmodel/sql_rows.hpp"

#include <utility>

namespace immortal::readmodel {

namespace {

using base::json::object;

postgres::query by_ids(postgres::sql_text text, const std::vector<base::uuid>& ids) {
    auto q = postgres::reading(text);
    q.values.add_array(ids);
    return q;
}

std::vector<postgres::query> page_statements(const std::vector<base::uuid>& players) {
    std::vector<postgres::query> all;
    all.push_back(postgres::reading("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"));
    all.push_back(postgres::reading("SELECT partition, position FROM projection_checkpoints"));
    all.push_back(by_ids("SELECT " IMMORTAL_PLAYER_COLUMNS ", p.level_position, p.wealth, "
                         "p.wealth_position FROM players p WHERE p.id = ANY($1::uuid[])",
                         players));
    all.push_back(by_ids("SELECT k.player_id, " IMMORTAL_TECHNIQUE_COLUMNS
                         " FROM player_techniques k "
                         "LEFT JOIN techniques c ON c.technique_id = k.technique_id "
                         "WHERE k.player_id = ANY($1::uuid[])",
                         players));
    all.push_back(by_ids("SELECT " IMMORTAL_CULTIVATION_COLUMNS
                         " FROM cultivation_records r WHERE r.player_id = ANY($1::uuid[])",
                         players));
    all.push_back(by_ids("SELECT player_id, total_cultivation_sessions, "
                         "total_cultivation_seconds, total_experience_from_cultivation, "
                         "breakthroughs_achieved, total_techniques, master_level_techniques, "
                         "cultivation_position, position FROM player_statistics_totals "
                         "WHERE player_id = ANY($1::uuid[])",
                         players));
    all.push_back(by_ids("SELECT " IMMORTAL_STATISTICS_COLUMNS " FROM players p "
                         "LEFT JOIN player_statistics_totals t ON t.player_id = p.id "
                         "WHERE p.id = ANY($1::uuid[])",
                         players));
    all.push_back(by_ids("SELECT thing, revision, owner, command, due_at, position "
                         "FROM due_commands WHERE owner = ANY($1::uuid[])",
                         players));
    return all;
}

// A row whose thing is no session would be nobody's: it is shown under the nil id.
void read_due(const postgres::rows& rows, row_snapshot& out) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const due_command row{
            rows.get<std::string>(i, 0),
            base::revision{static_cast<std::uint64_t>(rows.get<std::int64_t>(i, 1))},
            rows.get<base::uuid>(i, 2),
            rows.get<std::string>(i, 3),
            rows.get<base::utc_time>(i, 4),
            rows.get<base::position>(i, 5)};
        const auto session = game::cultivation::id_of_stream(row.thing).value_or(base::uuid{});
        out.due.emplace(session, base::encode(row).get_object());
        out.sessions_of[row.owner].push_back(session);
    }
}

row_snapshot read_page(const std::vector<postgres::rows>& rows) {
    row_snapshot out;
    for (std::size_t i = 0; i < rows[1].size(); ++i) {
        out.done.at(static_cast<std::size_t>(rows[1].get<std::int64_t>(i, 0))) =
            rows[1].get<std::optional<base::position>>(i, 1);
    }
    for (std::size_t i = 0; i < rows[2].size(); ++i) {
        const player_view view = read_player(rows[2], i, 0);
        object row = base::encode(view).get_object();
        row["levelPosition"] = rows[2].get<std::int64_t>(i, 24);
        row["wealth"] = rows[2].get<std::int64_t>(i, 25);
        row["wealthPosition"] = rows[2].get<std::int64_t>(i, 26);
        out.players.emplace(view.id, std::move(row));
    }
    for (std::size_t i = 0; i < rows[3].size(); ++i) {
        const technique_view view = read_technique(rows[3], i, 1);
        out.techniques[rows[3].get<base::uuid>(i, 0)][view.technique_id] = base::encode(view);
    }
    for (std::size_t i = 0; i < rows[4].size(); ++i) {
        const cultivation_view view = read_cultivation(rows[4], i, 0);
        out.records.emplace(view.session_id, base::encode(view).get_object());
        out.sessions_of[view.player_id].push_back(view.session_id);
    }
    for (std::size_t i = 0; i < rows[5].size(); ++i) {
        statistics_change row;
        row.sessions = rows[5].get<std::int64_t>(i, 1);
        row.seconds = rows[5].get<std::int64_t>(i, 2);
        row.experience = rows[5].get<std::int64_t>(i, 3);
        row.breakthroughs = rows[5].get<std::int64_t>(i, 4);
        row.techniques = rows[5].get<std::int64_t>(i, 5);
        row.masters = rows[5].get<std::int64_t>(i, 6);
        row.cultivation_position = rows[5].get<base::position>(i, 7);
        row.position = rows[5].get<base::position>(i, 8);
        out.totals.emplace(rows[5].get<base::uuid>(i, 0), totals_object(row));
    }
    read_due(rows[7], out);
    for (std::size_t i = 0; i < rows[6].size(); ++i) {
        statistics_view view = read_statistics(rows[6], i, 0);
        out.statistics.emplace(view.id, std::move(view));
    }
    return out;
}

} // namespace

base::json::object totals_object(const statistics_change& from) {
    return {{"totalCultivationSessions", from.sessions},
            {"totalCultivationSeconds", from.seconds},
            {"totalExperienceFromCultivation", from.experience},
            {"breakthroughsAchieved", from.breakthroughs},
            {"totalTechniques", from.techniques},
            {"masterLevelTechniques", from.masters},
            {"cultivationPosition", static_cast<std::int64_t>(from.cultivation_position.value)},
            {"position", static_cast<std::int64_t>(from.position.value)}};
}

awaitable<base::result<row_snapshot>> read_rows(postgres::database& database,
                                                std::vector<base::uuid> players) {
    auto begun = co_await database.begin();
    if (!begun) {
        co_return base::fail(std::move(begun.error()));
    }
    const auto done = co_await (*begun)->run_all(page_statements(players));
    if (!done) {
        co_return base::fail(done.error());
    }
    co_return read_page(*done);
}

} // namespace immortal::readmodel
