#include "ops/erasures.hpp"

#include "base/log.hpp"

#include <utility>

namespace immortal::ops {

struct erasure_worker::state {
    state(boost::asio::any_io_executor executor, parts with, erasure_settings options)
        : uses(with), settings(std::move(options)),
          job(std::move(executor), uses.database, uses.metrics, "erasures", settings.job,
              [this] { return look(); }),
          players(uses.metrics.make_counter("immortal_erasures_players_total",
                                            "Players that forgot the person behind them.")),
          finished(uses.metrics.make_counter("immortal_erasures_finished_total",
                                             "Accounts whose erasure was completed.")),
          pending(uses.metrics.make_gauge("immortal_erasures_pending",
                                          "Erasures that wait for completion.")) {}

    awaitable<void> look();
    awaitable<void> work_on(const accounts::pending_erasure& one);
    awaitable<base::result<bool>> erase_players_of(base::uuid user);
    awaitable<void> erase_player(base::uuid player);

    parts uses;
    erasure_settings settings;
    periodic_job job;
    base::counter players;
    base::counter finished;
    base::gauge pending;
};

awaitable<void> erasure_worker::state::erase_player(base::uuid player) {
    const auto done = co_await uses.commands.execute(
        commands::system_actor(), "erase:" + player.text(), commands::erase_player{player});
    if (done && !done->repeated) {
        players.add();
    }
    if (!done && done.error().code != base::errc::not_found) { // not_found: it is erased already
        base::log_warning("ops", "a player could not be erased yet",
                          {{"player", player.text()}, {"why", done.error().message}});
    }
}

// Erases what the read model, as new as the log is now, knows of. True: there was nothing.
awaitable<base::result<bool>> erasure_worker::state::erase_players_of(base::uuid user) {
    if (const auto head = uses.store.head()) {
        const auto there =
            co_await uses.progress.wait_everywhere(*head, settings.read_model_timeout);
        if (!there) {
            co_return base::fail(there.error());
        }
    }
    const auto found = co_await uses.queries.named_players_of(user);
    if (!found) {
        co_return base::fail(found.error());
    }
    for (const base::uuid& player : *found) {
        if (job.stopping() || !co_await job.still_held()) {
            co_return false;
        }
        co_await erase_player(player);
    }
    co_return found->empty();
}

awaitable<void> erasure_worker::state::work_on(const accounts::pending_erasure& one) {
    const auto begun = uses.clock.now();
    const auto nothing_left = co_await erase_players_of(one.user_id);
    if (!nothing_left) {
        base::log_info("ops", "an erasure waits", {{"why", nothing_left.error().message}});
        co_return;
    }
    if (!*nothing_left || begun - one.requested_at < settings.grace) {
        co_return; // the next round goes on
    }
    if (co_await uses.accounts.finish_erasure(one.user_id)) {
        finished.add();
    }
}

awaitable<void> erasure_worker::state::look() {
    const auto found = co_await uses.accounts.pending_erasures();
    if (!found) {
        co_return;
    }
    pending.set(static_cast<double>(found->size()));
    for (const accounts::pending_erasure& one : *found) {
        if (job.stopping() || !co_await job.still_held()) {
            co_return;
        }
        co_await work_on(one);
    }
}

erasure_worker::erasure_worker(boost::asio::any_io_executor executor, parts uses,
                               erasure_settings settings)
    : state_(std::make_shared<state>(std::move(executor), uses, std::move(settings))) {}

erasure_worker::~erasure_worker() = default;

void erasure_worker::start() {
    state_->job.start();
}

awaitable<void> erasure_worker::stop() {
    return state_->job.stop();
}

} // namespace immortal::ops
