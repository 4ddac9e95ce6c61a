#include "readmodel/dead_letters.hpp"

#include <utility>

namespace immortal::readmodel {

awaitable<base::result<std::vector<dead_letter>>> list_dead_letters(postgres::database& database) {
    const auto rows = co_await database.run(postgres::reading(
        "SELECT owner, position, event_id, event_type, stream, error, state, parked_at "
        "FROM dead_letters ORDER BY position, owner LIMIT 1000"));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    std::vector<dead_letter> out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        out.push_back({rows->get<base::uuid>(i, 0), rows->get<base::position>(i, 1),
                       rows->get<base::uuid>(i, 2), rows->get<std::string>(i, 3),
                       rows->get<std::string>(i, 4), rows->get<std::string>(i, 5),
                       rows->get<std::string>(i, 6), rows->get<base::utc_time>(i, 7)});
    }
    co_return out;
}

namespace {

awaitable<base::status> ask(postgres::database& database, base::uuid owner, std::string state) {
    postgres::query q{"UPDATE dead_letters SET state = $2 WHERE owner = $1::uuid "
                      "AND state IN ('parked', 'retry', 'skip')"};
    q.values.add(owner).add(state);
    const auto rows = co_await database.run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    if (rows->affected() == 0) {
        co_return base::fail(base::errc::not_found, "No parked event belongs to this owner.");
    }
    co_return base::status{};
}

} // namespace

awaitable<base::status> retry_dead_letter(postgres::database& database, base::uuid owner) {
    return ask(database, owner, "retry");
}

awaitable<base::status> skip_dead_letter(postgres::database& database, base::uuid owner) {
    return ask(database, owner, "skip");
}

awaitable<base::result<parking>> load_parking(postgres::database& database,
                                              std::vector<std::int64_t> partitions) {
    auto q = postgres::reading("SELECT owner, position, state FROM dead_letters "
                               "WHERE partition = ANY($1::smallint[])");
    q.values.add_array(partitions);
    const auto rows = co_await database.run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    parking out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        const auto owner = rows->get<base::uuid>(i, 0);
        if (rows->text(i, 2) == "skipped" || rows->text(i, 2) == "skip") {
            out.skipped.emplace(owner, rows->get<base::position>(i, 1));
        }
        if (rows->text(i, 2) != "skipped") {
            out.owners.insert(owner);
        }
    }
    co_return out;
}

awaitable<base::result<std::vector<base::uuid>>>
load_replay_requests(postgres::database& database, std::vector<std::int64_t> partitions) {
    auto q =
        postgres::reading("SELECT DISTINCT owner FROM dead_letters "
                          "WHERE partition = ANY($1::smallint[]) AND state IN ('retry', 'skip') "
                          "ORDER BY owner LIMIT 16");
    q.values.add_array(partitions);
    const auto rows = co_await database.run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    std::vector<base::uuid> out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        out.push_back(rows->get<base::uuid>(i, 0));
    }
    co_return out;
}

} // namespace immortal::readmodel
