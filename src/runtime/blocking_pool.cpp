#include "runtime/blocking_pool.hpp"

#include "base/assert.hpp"
#include "runtime/waiter.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace immortal::runtime {

namespace asio = boost::asio;

namespace {

enum class phase : std::uint8_t { queued, running, done, dropped };

struct queued_job {
    std::function<void()> work;
    phase where = phase::queued;
    std::weak_ptr<waiter> sleeping; // weak: the waiter leads to the frame that holds this job
};

} // namespace

struct blocking_pool::state {
    settings options;
    mutable std::mutex mutex; // guards what follows
    std::condition_variable changed;
    std::deque<std::shared_ptr<queued_job>> queue;
    std::vector<std::thread> threads;
    std::size_t idle = 0;
    bool stopping = false;

    void run_thread();
    void set_phase(queued_job& job, phase where);
};

void blocking_pool::state::set_phase(queued_job& job, phase where) {
    std::shared_ptr<waiter> sleeping;
    {
        const std::lock_guard lock(mutex);
        job.where = where;
        sleeping = job.sleeping.lock();
    }
    if (sleeping) {
        sleeping->wake();
    }
}

void blocking_pool::state::run_thread() {
    for (;;) {
        std::shared_ptr<queued_job> job;
        {
            std::unique_lock lock(mutex);
            ++idle;
            changed.wait(lock, [this] { return stopping || !queue.empty(); });
            --idle;
            if (queue.empty()) {
                return;
            }
            job = std::move(queue.front());
            queue.pop_front();
            job->where = phase::running;
        }
        job->work();
        job->work = nullptr; // what it holds dies here, before the caller goes on
        set_phase(*job, phase::done);
    }
}

blocking_pool::blocking_pool(settings options) : state_(std::make_unique<state>()) {
    IMMORTAL_ASSERT(options.threads > 0);
    state_->options = options;
    state_->threads.reserve(options.threads);
    try {
        while (state_->threads.size() < options.threads) {
            state_->threads.emplace_back([s = state_.get()] { s->run_thread(); });
        }
    } catch (...) {
        stop();
        throw;
    }
}

blocking_pool::~blocking_pool() {
    stop();
}

void blocking_pool::stop() {
    std::deque<std::shared_ptr<queued_job>> dropped;
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopping = true;
        dropped.swap(state_->queue);
        threads.swap(state_->threads);
    }
    state_->changed.notify_all();
    for (const auto& job : dropped) {
        state_->set_phase(*job, phase::dropped);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

std::size_t blocking_pool::queued() const {
    const std::lock_guard lock(state_->mutex);
    return state_->queue.size();
}

awaitable<base::status> blocking_pool::run_job(std::function<void()> job, milliseconds limit) {
    constexpr milliseconds running_limit = std::chrono::hours(1); // then it waits again
    auto entry = std::make_shared<queued_job>();
    entry->work = std::move(job);
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->stopping) {
            co_return base::fail(base::errc::cancelled, "The service is stopping.");
        }
        // A thread that is idle takes its job at once: such a job does not count as queued.
        if (state_->queue.size() >= state_->options.queue_max + state_->idle) {
            co_return base::fail(base::errc::exhausted, "Too much work is waiting; try again.");
        }
        state_->queue.push_back(entry);
    }
    state_->changed.notify_one();
    const auto executor = co_await asio::this_coro::executor;
    // A job that runs is waited for even by a cancelled caller.
    const bool throwing = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    base::status outcome;
    for (bool ended = false; !ended;) {
        auto sleeping = waiter::make(executor);
        bool waits = false;
        {
            const std::lock_guard lock(state_->mutex);
            entry->sleeping = sleeping;
            waits = entry->where == phase::queued || entry->where == phase::running;
        }
        wake_reason reason = wake_reason::notified;
        if (waits) {
            reason = co_await waiter::wait(std::move(sleeping), limit);
        }
        limit = running_limit;
        const std::lock_guard lock(state_->mutex);
        if (entry->where == phase::queued) {
            ended = true;
            auto& queue = state_->queue;
            queue.erase(std::find(queue.begin(), queue.end(), entry));
            outcome = reason == wake_reason::timed_out
                          ? base::fail(base::errc::timeout, "No thread became free in time.")
                          : base::fail(base::errc::cancelled, "The caller was cancelled.");
        } else if (entry->where == phase::dropped) {
            ended = true;
            outcome = base::fail(base::errc::cancelled, "The service is stopping.");
        } else {
            ended = entry->where == phase::done;
        }
    }
    co_await asio::this_coro::throw_if_cancelled(throwing);
    co_return outcome;
}

} // namespace immortal::runtime
