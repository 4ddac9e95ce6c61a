#include "ops/erasures.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

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
                                          "Erasures that wait for completion.")),
          stuck(uses.metrics.make_gauge("immortal_erasures_stuck_players",
                                        "Players whose erasure failed at the last attempt.")) {}

    // Of a player that could not be erased.
    struct setback {
        milliseconds wait{0};
        base::steady_time next;
    };

    awaitable<void> look();
    awaitable<void> work_on(const accounts::pending_erasure& one);
    awaitable<base::result<bool>> erase_players_of(base::uuid user);
    awaitable<bool> erase_players(const std::vector<base::uuid>& players);
    awaitable<void> erase_player(base::uuid player);
    void put_off(base::uuid player, const base::error& why);

    parts uses;
    erasure_settings settings;
    periodic_job job;
    base::counter players;
    base::counter finished;
    base::gauge pending;
    base::gauge stuck;
    std::map<base::uuid, setback> tried; // in the rounds before
    std::map<base::uuid, setback> seen;  // in this one
};

// A player whose last attempt failed waits; the others of the round do not wait for that one.
void erasure_worker::state::put_off(base::uuid player, const base::error& why) {
    const bool ended = why.code == base::errc::deleted;
    setback one = tried[player];
    one.wait = one.wait.count() == 0 ? settings.retry_min : one.wait * 2;
    one.wait = std::min(one.wait, ended ? settings.retry_ended_max : settings.retry_max);
    one.next = uses.clock.steady_now() + one.wait;
    tried[player] = one;
    seen[player] = one;
    if (ended) {
        base::log_error("ops",
                        "a player cannot be erased: a stream of the player is tombstoned. Other "
                        "erasures go on. If it is the player's own stream, scavenge the log and "
                        "rebuild the read model: then nothing is left of the player",
                        {{"player", player.text()},
                         {"stream", why.field},
                         {"why", why.message},
                         {"again_in_ms", one.wait.count()}});
    } else {
        base::log_warning(
            "ops", "a player could not be erased yet",
            {{"player", player.text()}, {"why", why.message}, {"again_in_ms", one.wait.count()}});
    }
}

awaitable<void> erasure_worker::state::erase_player(base::uuid player) {
    const auto before = tried.find(player);
    if (before != tried.end() && uses.clock.steady_now() < before->second.next) {
        seen[player] = before->second;
        co_return;
    }
    const auto done = co_await uses.commands.execute(
        commands::system_actor(), "erase:" + player.text(), commands::erase_player{player});
    if (done && !done->repeated) {
        players.add();
    }
    if (!done && done.error().code != base::errc::not_found) { // not_found: it is erased already
        put_off(player, done.error());
    }
}

// False: the job ends.
awaitable<bool> erasure_worker::state::erase_players(const std::vector<base::uuid>& list) {
    for (const base::uuid& player : list) {
        if (job.stopping() || !co_await job.still_held()) {
            co_return false;
        }
        co_await erase_player(player);
    }
    co_return true;
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
    bool nothing = true;
    for (base::uuid last;;) {
        const auto found = co_await uses.queries.named_players_of(user, last);
        if (!found) {
            co_return base::fail(found.error());
        }
        if (found->empty()) {
            co_return nothing;
        }
        nothing = false;
        last = found->back();
        if (!co_await erase_players(*found)) {
            co_return false;
        }
    }
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
    std::size_t count = 0;
    seen.clear();
    for (base::uuid last;;) {
        const auto found = co_await uses.accounts.pending_erasures(last);
        if (!found) {
            co_return;
        }
        count += found->size();
        if (found->empty()) {
            break;
        }
        last = found->back().user_id;
        pending.set(static_cast<double>(count)); // at the least
        for (const accounts::pending_erasure& one : *found) {
            if (job.stopping() || !co_await job.still_held()) {
                co_return;
            }
            co_await work_on(one);
        }
    }
    pending.set(static_cast<double>(count));
    stuck.set(static_cast<double>(seen.size()));
    tried = std::exchange(seen, {}); // who is gone is forgotten
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
