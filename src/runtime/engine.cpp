#include "runtime/engine.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace immortal::runtime {

namespace asio = boost::asio;

struct engine::state {
    explicit state(settings given)
        : options(given),
          thread_count(given.threads != 0 ? given.threads
                                          : std::max(2u, std::thread::hardware_concurrency())),
          context(static_cast<int>(thread_count)), work(asio::make_work_guard(context)) {}

    void run_thread();
    // True if some thread of the engine is the caller's.
    [[nodiscard]] bool is_own_thread() { return context.get_executor().running_in_this_thread(); }

    settings options;
    std::size_t thread_count;
    asio::io_context context;
    asio::executor_work_guard<asio::io_context::executor_type> work;

    std::mutex mutex; // guards what follows
    std::condition_variable ended;
    std::vector<std::thread> threads;
    std::size_t running = 0;
    bool stopped = false;
};

void engine::state::run_thread() {
    for (;;) {
        try {
            context.run();
            break;
        } catch (const std::exception& e) {
            base::log_error("runtime", "an exception left a handler", {{"what", e.what()}});
        } catch (...) {
            base::log_error("runtime", "an unknown exception left a handler");
        }
    }
    const std::lock_guard lock(mutex);
    --running;
    ended.notify_all();
}

engine::engine(settings options) : state_(std::make_unique<state>(options)) {}

engine::~engine() {
    stop();
}

any_io_executor engine::executor() {
    return state_->context.get_executor();
}

void engine::start() {
    const std::lock_guard lock(state_->mutex);
    IMMORTAL_ASSERT(!state_->stopped);
    if (!state_->threads.empty()) {
        return;
    }
    state_->threads.reserve(state_->thread_count);
    while (state_->threads.size() < state_->thread_count) {
        ++state_->running;
        try {
            state_->threads.emplace_back([s = state_.get()] { s->run_thread(); });
        } catch (...) {
            --state_->running; // stop() waits for those that did begin
            throw;
        }
    }
}

void engine::stop() {
    IMMORTAL_ASSERT(!state_->is_own_thread());
    std::vector<std::thread> threads;
    {
        std::unique_lock lock(state_->mutex);
        if (std::exchange(state_->stopped, true)) {
            return;
        }
        state_->work.reset();
        const bool drained = state_->ended.wait_for(lock, state_->options.drain,
                                                    [this] { return state_->running == 0; });
        if (!drained) {
            base::log_warning("runtime", "work was abandoned when the engine stopped");
        }
        threads.swap(state_->threads);
    }
    state_->context.stop();
    for (std::thread& thread : threads) {
        thread.join();
    }
}

} // namespace immortal::runtime
