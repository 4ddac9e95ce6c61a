#include "readmodel/projector.hpp"

#include "base/log.hpp"
#include "readmodel/dead_letters.hpp"
#include "readmodel/session.hpp"
#include "readmodel/techniques.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <algorithm>
#include <utility>

namespace immortal::readmodel {

projector_context::projector_context(projector::parts p, projector_settings s)
    : uses(p), settings(std::move(s)),
      events(p.metrics.make_counter("immortal_readmodel_events_total",
                                    "Events projected into the read model")),
      batches(p.metrics.make_counter("immortal_readmodel_batches_total",
                                     "Transactions of the projector")),
      retries(p.metrics.make_counter("immortal_readmodel_retries_total",
                                     "Transactions of the projector that were tried again, "
                                     "and sessions that lost a lease")),
      delay(p.metrics.make_histogram("immortal_readmodel_delay_seconds",
                                     "From an event's time to its row being committed",
                                     base::metrics::latency_bounds())),
      batch_events(p.metrics.make_histogram("immortal_readmodel_batch_events",
                                            "Events of one transaction of the projector",
                                            {1, 4, 16, 64, 256, 1024, 4096, 16384})) {}

void projector_context::set_trouble(std::string sentence) {
    const std::lock_guard lock(mutex_);
    if (!sentence.empty() && trouble_.empty()) {
        base::log_warning("readmodel", sentence);
    }
    trouble_ = std::move(sentence);
}

std::string projector_context::trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_;
}

awaitable<bool> projector_context::back_off(milliseconds& wait) {
    const auto seen = stopped.version();
    if (!stopping) {
        (void)co_await stopped.wait(seen, wait);
    }
    wait = std::min(wait * 2, settings.retry_max);
    co_return !stopping;
}

struct projector::state {
    state(boost::asio::any_io_executor executor, parts uses, projector_settings settings)
        : context(uses, std::move(settings)), tasks(executor, "projector") {
        if (uses.shared != nullptr) {
            fresh = std::make_unique<freshener>(executor, *uses.shared, uses.database);
            context.fresh = fresh.get();
        }
    }

    projector_context context;
    std::unique_ptr<freshener> fresh;
    runtime::task_group tasks;
    bool started = false;
};

namespace {

// Empty: stopping.
awaitable<std::optional<std::vector<lease>>> take_leases(projector_context& c, bool take_over) {
    milliseconds wait = c.settings.retry_min;
    for (;;) {
        auto taken = co_await acquire_leases(
            c.uses.database, {c.settings.name, c.uses.store.identity(), c.settings.lease_time,
                              c.settings.partitions_max, take_over});
        if (taken && !taken->empty()) {
            co_return std::move(*taken);
        }
        if (!taken) {
            c.set_trouble("The read model waits for PostgreSQL: " + taken.error().message);
        } else if (const auto fits = co_await check_checkpoints(c.uses.database, c.uses.store);
                   !fits) {
            c.set_trouble(fits.error().message);
        }
        if (!co_await c.back_off(wait)) {
            co_return std::nullopt;
        }
    }
}

awaitable<void> run(projector_context& c) {
    session_start next;
    milliseconds wait = c.settings.retry_min;
    bool take_over = c.settings.policy == lease_policy::take_over;
    while (!c.stopping) {
        auto leases = co_await take_leases(c, take_over);
        if (!leases) {
            co_return;
        }
        take_over = false; // who takes them from us later is the better owner
        const auto before = c.reached.load();
        next.leases = std::move(*leases);
        if (c.fresh != nullptr) {
            c.fresh->restart();
        }
        session_end end = co_await run_session(c, std::exchange(next, {}));
        if (end.why == session_end::reason::stopped) {
            co_return;
        }
        if (end.why == session_end::reason::lease_lost) {
            c.retries.add();
        }
        if (end.why == session_end::reason::rows_refused) {
            next.careful_until = end.until;
            next.refused = std::move(end.refused);
        }
        if (c.reached.load() != before) {
            wait = c.settings.retry_min;
        }
        if (!co_await c.back_off(wait)) {
            co_return;
        }
    }
}

} // namespace

projector::projector(boost::asio::any_io_executor executor, parts uses, projector_settings settings)
    : state_(std::make_shared<state>(std::move(executor), uses, std::move(settings))) {}

projector::~projector() = default;

void projector::set_step_hook(step_hook hook) {
    state_->context.hook = std::move(hook);
}

awaitable<base::status> projector::start() {
    const auto shared = state_;
    projector_context& c = shared->context;
    if (auto fits = co_await check_checkpoints(c.uses.database, c.uses.store); !fits) {
        co_return fits;
    }
    if (auto written = co_await write_techniques(c.uses.database, c.uses.catalog); !written) {
        co_return written;
    }
    if (shared->fresh) {
        shared->fresh->start();
    }
    shared->tasks.spawn(run(c), "project");
    shared->started = true;
    co_return base::status{};
}

awaitable<void> projector::stop() {
    const auto shared = state_;
    shared->context.stopping = true;
    shared->context.stopped.notify_all();
    shared->context.changed.notify_all();
    if (!shared->started) {
        co_return;
    }
    // Ends by itself after the commit under way; cancelled only if that takes too long.
    milliseconds waited{0};
    while (shared->tasks.running() > 0 && waited < milliseconds{10'000}) {
        (void)co_await runtime::wait_for(milliseconds{2});
        waited += milliseconds{2};
    }
    (void)co_await shared->tasks.stop(milliseconds{10'000});
    if (shared->fresh) {
        co_await shared->fresh->stop();
    }
}

std::string projector::trouble() const {
    return state_->context.trouble();
}

std::uint64_t projector::lag() const {
    const auto head = state_->context.uses.store.head();
    const std::uint64_t at = state_->context.reached;
    return head && head->value > at ? head->value - at : 0;
}

} // namespace immortal::readmodel
