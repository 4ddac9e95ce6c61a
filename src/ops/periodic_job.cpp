#include "ops/periodic_job.hpp"

#include "base/log.hpp"
#include "runtime/async_event.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <atomic>
#include <utility>

namespace immortal::ops {

namespace {

using std::chrono::steady_clock;

constexpr milliseconds stop_limit{15'000};

} // namespace

struct periodic_job::state {
    state(boost::asio::any_io_executor executor, postgres::database& database,
          base::metrics& metrics, std::string name, job_settings options, round work)
        : job(std::move(name)), settings(std::move(options)), run(std::move(work)),
          lease(database, job, settings.owner, settings.lease_time, settings.first),
          tasks(std::move(executor), job),
          holding(metrics.make_gauge("immortal_ops_lease",
                                     "1: this process does the job, of all that could.",
                                     {{"job", job}})) {}

    std::string job;
    job_settings settings;
    round run;
    readmodel::job_lease lease;
    runtime::task_group tasks;
    runtime::async_event changed; // stopping, ended
    std::atomic<bool> stopping = false;
    std::atomic<bool> ended = true;
    steady_clock::time_point held_at;
    base::gauge holding;
};

namespace {

awaitable<bool> hold(periodic_job::state& s) {
    const auto asked_at = steady_clock::now();
    const auto held = co_await s.lease.hold();
    s.holding.set(held && *held ? 1 : 0);
    s.held_at = asked_at;
    co_return held && *held;
}

awaitable<void> repeat(std::shared_ptr<periodic_job::state> s) {
    while (!s->stopping) {
        const auto seen = s->changed.version();
        try {
            if (co_await hold(*s)) {
                co_await s->run();
            }
        } catch (const std::exception& e) {
            base::log_error("ops", "a round failed", {{"job", s->job}, {"error", e.what()}});
        }
        if (!s->stopping) {
            (void)co_await s->changed.wait(seen, s->settings.interval);
        }
    }
    co_await s->lease.release();
    s->holding.set(0);
    s->ended = true;
    s->changed.notify_all();
}

} // namespace

periodic_job::periodic_job(boost::asio::any_io_executor executor, postgres::database& database,
                           base::metrics& metrics, std::string name, job_settings settings,
                           round work)
    : state_(std::make_shared<state>(std::move(executor), database, metrics, std::move(name),
                                     std::move(settings), std::move(work))) {}

periodic_job::~periodic_job() = default;

void periodic_job::start() {
    state_->ended = false;
    state_->tasks.spawn(repeat(state_), "repeat");
}

awaitable<void> periodic_job::stop() {
    const auto s = state_;
    s->stopping = true;
    s->changed.notify_all();
    const auto until = steady_clock::now() + stop_limit;
    for (;;) {
        const auto seen = s->changed.version();
        const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
        if (s->ended || left.count() <= 0) {
            break;
        }
        (void)co_await s->changed.wait(seen, left);
    }
    (void)co_await s->tasks.stop(stop_limit);
}

bool periodic_job::stopping() const {
    return state_->stopping;
}

const readmodel::job_fence& periodic_job::fence() const {
    return state_->lease.fence();
}

awaitable<bool> periodic_job::still_held() {
    const auto s = state_;
    if (steady_clock::now() - s->held_at < s->settings.lease_time / 3) {
        co_return true;
    }
    co_return co_await hold(*s);
}

} // namespace immortal::ops
