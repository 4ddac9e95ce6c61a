#include "readmodel/rebuild.hpp"

#include "runtime/deadline.hpp"

#include <utility>

namespace immortal::readmodel {

namespace {

constexpr milliseconds poll_interval{20};
constexpr milliseconds trouble_max{60'000};

// Empties the derived tables; every lease changes hands, so whoever projects now is fenced off.
awaitable<base::status> clear(postgres::database& database, base::log_identity log) {
    std::vector<postgres::query> statements;
    postgres::query take{"UPDATE projection_checkpoints SET position = NULL, log_id = $1::uuid, "
                         "log_epoch = $2::integer, lease_epoch = lease_epoch + 1, "
                         "lease_owner = NULL, lease_until = NULL"};
    take.values.add(log.id).add(log.epoch);
    take.timeout = milliseconds{60'000};
    statements.push_back(std::move(take));
    statements.push_back({"SET LOCAL statement_timeout = '60s'"});
    statements.push_back({"TRUNCATE players, player_techniques, cultivation_records, "
                          "player_statistics_totals, due_commands"});
    statements.push_back({"DELETE FROM dead_letters WHERE state NOT IN ('skip', 'skipped')"});
    statements.push_back({"UPDATE dead_letters SET state = 'skipped'"});
    const auto done = co_await database.run_all(std::move(statements));
    co_return done ? base::status{} : base::status(base::fail(done.error()));
}

awaitable<base::status> follow(projector& worker, projector::parts uses, rebuild_progress& now,
                               const std::function<void(const rebuild_progress&)>& report,
                               double events_before) {
    base::counter events = uses.metrics.make_counter("immortal_readmodel_events_total",
                                                     "Events projected into the read model");
    milliseconds in_trouble{0};
    for (;;) {
        const auto at = uses.applied.applied_everywhere();
        now.position = at.value_or(base::position{});
        now.events = static_cast<std::uint64_t>(events.value() - events_before);
        if (report) {
            report(now);
        }
        if (at && *at >= now.head) {
            co_return base::status{};
        }
        const std::string trouble = worker.trouble();
        in_trouble = trouble.empty() ? milliseconds{0} : in_trouble + poll_interval;
        if (in_trouble >= trouble_max) {
            co_return base::fail(base::errc::unavailable, trouble);
        }
        if (!co_await runtime::wait_for(poll_interval)) {
            co_return base::fail(base::errc::cancelled, "The rebuild was stopped.");
        }
    }
}

} // namespace

awaitable<base::result<rebuild_progress>>
rebuild(boost::asio::any_io_executor executor, projector::parts uses, projector_settings settings,
        std::function<void(const rebuild_progress&)> report) {
    rebuild_progress now;
    const auto head = uses.store.head();
    if (auto cleared = co_await clear(uses.database, uses.store.identity()); !cleared) {
        co_return base::fail(std::move(cleared.error()));
    }
    uses.applied.reset();
    if (!head) {
        co_return now;
    }
    now.head = *head;
    settings.policy = lease_policy::take_over;
    settings.partitions_max = partition_count;
    const double before =
        uses.metrics
            .make_counter("immortal_readmodel_events_total", "Events projected into the read model")
            .value();
    projector worker(executor, uses, std::move(settings));
    if (auto started = co_await worker.start(); !started) {
        co_return base::fail(std::move(started.error()));
    }
    const auto done = co_await follow(worker, uses, now, report, before);
    co_await worker.stop();
    if (!done) {
        co_return base::fail(done.error());
    }
    co_return now;
}

} // namespace immortal::readmodel
