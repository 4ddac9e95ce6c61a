#include "readmodel/leases.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace immortal::readmodel {

namespace {

constexpr base::position beyond_every_event{std::numeric_limits<std::uint64_t>::max()};

struct lease_columns {
    std::vector<std::int64_t> partitions;
    std::vector<std::int64_t> epochs;
    std::vector<std::optional<base::position>> positions;
};

lease_columns columns_of(const std::vector<lease>& leases) {
    lease_columns out;
    for (const lease& one : leases) {
        out.partitions.push_back(static_cast<std::int64_t>(one.partition));
        out.epochs.push_back(one.epoch);
        out.positions.push_back(one.position);
    }
    return out;
}

base::error other_log() {
    return {
        base::errc::mismatch,
        "The read model was made from another event log, or from this one before a restore. "
        "If its events are in another event store, name that store; else run `immortal rebuild` to "
        "make it again from this log.",
        "other_log"};
}

base::error beyond_head(base::position at, std::optional<base::position> head) {
    return {base::errc::mismatch,
            "The read model has processed the event log up to position " +
                std::to_string(at.value) + ", but the log ends at " +
                (head ? std::to_string(head->value) : std::string("its beginning")) +
                ". Run `immortal rebuild` to make the read model again from this log.",
            "beyond_head"};
}

awaitable<base::result<bool>> answer_of(postgres::database& database, postgres::query question) {
    const auto found = co_await database.run(std::move(question));
    if (!found) {
        co_return base::fail(found.error());
    }
    co_return found->get<bool>(0, 0);
}

// As the store has it at this moment.
awaitable<base::result<std::optional<base::position>>>
last_position(eventstore::event_store& store) {
    const auto page =
        co_await store.read_all(beyond_every_event, eventstore::direction::backwards, 1);
    if (!page) {
        co_return base::fail(page.error());
    }
    co_return page->events.empty() ? std::nullopt : std::optional(page->events.front().position);
}

} // namespace

awaitable<base::status> check_checkpoints(postgres::database& database,
                                          eventstore::event_store& store) {
    const base::log_identity log = store.identity();
    auto q = postgres::reading(
        "SELECT log_id IS NULL OR (log_id = $1::uuid AND log_epoch = $2::integer), "
        "position FROM projection_checkpoints");
    q.values.add(log.id).add(log.epoch);
    const auto found = co_await database.run(std::move(q));
    if (!found) {
        co_return base::fail(found.error());
    }
    std::optional<base::position> furthest;
    for (std::size_t i = 0; i < found->size(); ++i) {
        if (!found->get<bool>(i, 0)) {
            co_return base::fail(other_log());
        }
        furthest = std::max(furthest, found->get<std::optional<base::position>>(i, 1));
    }
    if (!furthest || furthest <= store.head()) {
        co_return base::status{};
    }
    const auto end = co_await last_position(store);
    if (!end) {
        co_return base::fail(end.error());
    }
    co_return furthest <= *end ? base::status{} : base::fail(beyond_head(*furthest, *end));
}

awaitable<base::result<bool>> is_made_from(postgres::database& database, base::log_identity log) {
    auto q = postgres::reading(
        "SELECT EXISTS (SELECT FROM projection_checkpoints WHERE log_id = $1::uuid "
        "AND log_epoch = $2::integer)");
    q.values.add(log.id).add(log.epoch);
    return answer_of(database, std::move(q));
}

awaitable<base::result<bool>> is_made_from_another(postgres::database& database,
                                                   base::log_identity log) {
    auto q = postgres::reading(
        "SELECT EXISTS (SELECT FROM projection_checkpoints WHERE log_id <> $1::uuid)");
    q.values.add(log.id);
    return answer_of(database, std::move(q));
}

awaitable<base::result<std::vector<lease>>> acquire_leases(postgres::database& database,
                                                           lease_request request) {
    postgres::query q{
        "UPDATE projection_checkpoints SET lease_owner = $1, lease_epoch = lease_epoch + 1, "
        "lease_until = clock_timestamp() + $2::bigint * INTERVAL '1 millisecond', "
        "log_id = $3::uuid, log_epoch = $4::integer "
        "WHERE partition IN (SELECT partition FROM projection_checkpoints "
        "WHERE ($5::boolean OR lease_until IS NULL OR lease_until < clock_timestamp() "
        "OR lease_owner = $1) "
        "AND (log_id IS NULL OR (log_id = $3::uuid AND log_epoch = $4::integer)) "
        "ORDER BY partition LIMIT $6::bigint FOR UPDATE) "
        "RETURNING partition, lease_epoch, position"};
    q.values.add(request.owner).add(request.duration.count()).add(request.log.id);
    q.values.add(request.log.epoch).add(request.take_over).add(request.count_max);
    const auto taken = co_await database.run(std::move(q));
    if (!taken) {
        co_return base::fail(taken.error());
    }
    std::vector<lease> out;
    for (std::size_t i = 0; i < taken->size(); ++i) {
        out.push_back({static_cast<std::size_t>(taken->get<std::int64_t>(i, 0)),
                       taken->get<std::int64_t>(i, 1),
                       taken->get<std::optional<base::position>>(i, 2)});
    }
    std::ranges::sort(out, {}, &lease::partition);
    co_return out;
}

postgres::query fence_query(const std::vector<lease>& leases, std::optional<base::position> to,
                            milliseconds duration) {
    const lease_columns columns = columns_of(leases);
    postgres::query q{"SELECT advance_checkpoints($1::smallint[], $2::bigint[], $3::bigint[], "
                      "$4::bigint, $5::bigint)"};
    q.values.add_array(columns.partitions).add_array(columns.epochs).add_array(columns.positions);
    q.values.add(to).add(duration.count());
    return q;
}

awaitable<base::status> renew_leases(postgres::database& database, std::vector<lease> leases,
                                     milliseconds duration) {
    const auto done = co_await database.run(fence_query(leases, std::nullopt, duration));
    co_return done ? base::status{} : base::status(base::fail(done.error()));
}

awaitable<void> release_leases(postgres::database& database, std::vector<lease> leases) {
    const lease_columns columns = columns_of(leases);
    postgres::query q{"UPDATE projection_checkpoints c SET lease_until = NULL, lease_owner = NULL "
                      "FROM unnest($1::smallint[], $2::bigint[]) AS held (partition, epoch) "
                      "WHERE c.partition = held.partition AND c.lease_epoch = held.epoch"};
    q.values.add_array(columns.partitions).add_array(columns.epochs);
    (void)co_await database.run(std::move(q)); // else they expire
}

awaitable<base::result<fence_state>> read_fence(postgres::database& database,
                                                std::vector<lease> leases, base::position to) {
    // FOR UPDATE waits for a transaction of ours that the server may still be working on.
    const auto found = co_await database.run(
        postgres::reading("SELECT partition, lease_epoch, position FROM projection_checkpoints "
                          "ORDER BY partition FOR UPDATE"));
    if (!found) {
        co_return base::fail(found.error());
    }
    bool moved = true;
    bool unmoved = true;
    for (const lease& mine : leases) {
        bool held = false;
        for (std::size_t i = 0; i < found->size(); ++i) {
            if (static_cast<std::size_t>(found->get<std::int64_t>(i, 0)) != mine.partition) {
                continue;
            }
            held = found->get<std::int64_t>(i, 1) == mine.epoch;
            const auto at = found->get<std::optional<base::position>>(i, 2);
            unmoved = unmoved && at == mine.position;
            moved = moved && at == std::max(mine.position, std::optional(to));
        }
        if (!held) {
            co_return fence_state::lost;
        }
    }
    // A batch that ends where the checkpoints already stand can be written again.
    co_return unmoved ? fence_state::not_moved : moved ? fence_state::moved : fence_state::lost;
}

} // namespace immortal::readmodel
