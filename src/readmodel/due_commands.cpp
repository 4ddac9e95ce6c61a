#include "readmodel/due_commands.hpp"

namespace immortal::readmodel {

std::string key_of(const due_command& due) {
    return "deadline:" + due.thing + ':' + std::to_string(due.revision.value);
}

boost::asio::awaitable<base::result<std::vector<due_command>>>
load_due(postgres::database& database, job_fence held, base::utc_time now,
         std::optional<due_cursor> after, std::size_t count_max) {
    auto q = postgres::reading(
        "SELECT thing, revision, owner, command, due_at, position FROM due_commands "
        "WHERE due_at <= $1::timestamptz "
        "AND ($2::timestamptz IS NULL OR (due_at, thing) > ($2::timestamptz, $3::text)) "
        "AND EXISTS (SELECT FROM job_leases WHERE job = $4::text AND lease_owner = $5::text "
        "AND lease_epoch = $6::bigint AND lease_until > clock_timestamp()) "
        "ORDER BY due_at, thing LIMIT $7::bigint");
    q.values.add(now);
    q.values.add(after ? std::optional(after->due_at) : std::nullopt);
    q.values.add(after ? after->thing : std::string());
    q.values.add(held.job).add(held.owner).add(held.epoch).add(count_max);
    const auto rows = co_await database.run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    std::vector<due_command> out;
    out.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
        out.push_back({rows->get<std::string>(i, 0),
                       base::revision{static_cast<std::uint64_t>(rows->get<std::int64_t>(i, 1))},
                       rows->get<base::uuid>(i, 2), rows->get<std::string>(i, 3),
                       rows->get<base::utc_time>(i, 4), rows->get<base::position>(i, 5)});
    }
    co_return out;
}

} // namespace immortal::readmodel
