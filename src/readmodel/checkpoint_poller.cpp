#include "readmodel/progress.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <utility>

namespace immortal::readmodel {

struct checkpoint_poller::state {
    state(boost::asio::any_io_executor executor, postgres::database& from, progress& to,
          base::log_identity identity, milliseconds every)
        : database(from), target(to), log(identity), interval(every),
          tasks(std::move(executor), "checkpoint_poller") {}

    postgres::database& database;
    progress& target;
    base::log_identity log;
    milliseconds interval;
    runtime::task_group tasks;
};

namespace {

awaitable<void> poll_once(postgres::database& database, progress& target, base::log_identity log) {
    auto q = postgres::reading("SELECT partition, position FROM projection_checkpoints "
                               "WHERE log_id = $1::uuid AND log_epoch = $2::integer "
                               "AND position IS NOT NULL");
    q.values.add(log.id).add(static_cast<std::int64_t>(log.epoch));
    const auto found = co_await database.run(std::move(q));
    if (!found) {
        co_return; // PostgreSQL is away: the waiters' deadlines decide
    }
    std::array<std::optional<base::position>, partition_count> to;
    for (std::size_t i = 0; i < found->size(); ++i) {
        to.at(static_cast<std::size_t>(found->get<std::int64_t>(i, 0))) =
            found->get<base::position>(i, 1);
    }
    target.advance_all(to);
}

awaitable<void> poll(postgres::database& database, progress& target, base::log_identity log,
                     milliseconds interval) {
    milliseconds idle{0};
    for (;;) {
        if (target.waiting() > 0 || idle >= milliseconds{1000}) {
            co_await poll_once(database, target, log);
            idle = milliseconds{0};
        }
        if (!co_await runtime::wait_for(interval)) {
            co_return;
        }
        idle += interval;
    }
}

} // namespace

checkpoint_poller::checkpoint_poller(boost::asio::any_io_executor executor,
                                     postgres::database& database, progress& target,
                                     base::log_identity log, milliseconds interval)
    : state_(std::make_shared<state>(std::move(executor), database, target, log, interval)) {}

checkpoint_poller::~checkpoint_poller() = default;

void checkpoint_poller::start() {
    state_->tasks.spawn(poll(state_->database, state_->target, state_->log, state_->interval),
                        "poll");
}

awaitable<void> checkpoint_poller::stop() {
    const auto shared = state_;
    (void)co_await shared->tasks.stop(milliseconds{10'000});
}

} // namespace immortal::readmodel
