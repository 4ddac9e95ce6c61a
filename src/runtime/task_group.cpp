#include "runtime/task_group.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "runtime/async_event.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <map>
#include <mutex>
#include <utility>

namespace immortal::runtime {

namespace asio = boost::asio;

namespace {

struct running_task {
    explicit running_task(any_io_executor executor, std::string n)
        : strand(asio::make_strand(std::move(executor))), name(std::move(n)) {}
    asio::strand<any_io_executor> strand;
    asio::cancellation_signal signal; // used on the strand only
    std::string name;
};

} // namespace

struct task_group::state {
    any_io_executor executor;
    std::string name;
    async_event ended;
    mutable std::mutex mutex; // guards what follows
    bool stopping = false;
    std::uint64_t next_id = 0;
    std::uint64_t failures = 0;
    std::map<std::uint64_t, std::shared_ptr<running_task>> tasks;

    void finish(std::uint64_t id, const std::exception_ptr& failure);
    void report(const running_task& task, const std::exception_ptr& failure);
};

void task_group::state::report(const running_task& task, const std::exception_ptr& failure) {
    std::string what = "unknown exception";
    try {
        std::rethrow_exception(failure);
    } catch (const boost::system::system_error& e) {
        const std::lock_guard lock(mutex);
        if (stopping && e.code() == asio::error::operation_aborted) {
            return;
        }
        what = e.what();
    } catch (const std::exception& e) {
        what = e.what();
    } catch (...) { // `what` says so already
    }
    base::log_error("runtime", "a task ended with an exception",
                    {{"group", name}, {"task", task.name}, {"what", what}});
    const std::lock_guard lock(mutex);
    ++failures;
}

void task_group::state::finish(std::uint64_t id, const std::exception_ptr& failure) {
    std::shared_ptr<running_task> task;
    {
        const std::lock_guard lock(mutex);
        task = tasks.at(id);
    }
    if (failure) {
        report(*task, failure);
    }
    {
        const std::lock_guard lock(mutex);
        tasks.erase(id);
    }
    ended.notify_all();
}

task_group::task_group(any_io_executor executor, std::string name)
    : state_(std::make_shared<state>()) {
    state_->executor = std::move(executor);
    state_->name = std::move(name);
}

task_group::~task_group() {
    IMMORTAL_ASSERT(running() == 0);
}

void task_group::spawn(awaitable<void> task, std::string name) {
    auto entry = std::make_shared<running_task>(state_->executor, std::move(name));
    std::uint64_t id = 0;
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->stopping) {
            return;
        }
        id = state_->next_id++;
        state_->tasks.emplace(id, entry);
    }
    // On the strand, where the signal's slot may be touched.
    asio::post(entry->strand, [entry, shared = state_, id, task = std::move(task)]() mutable {
        asio::co_spawn(
            entry->strand, std::move(task),
            asio::bind_cancellation_slot(entry->signal.slot(), [shared, id](std::exception_ptr e) {
                shared->finish(id, e);
            }));
    });
}

awaitable<bool> task_group::stop(milliseconds limit) {
    const auto shared = state_;
    const auto until = std::chrono::steady_clock::now() + limit;
    {
        const std::lock_guard lock(shared->mutex);
        shared->stopping = true;
        for (const auto& [id, task] : shared->tasks) {
            asio::post(task->strand, [emitted = task] {
                emitted->signal.emit(asio::cancellation_type::terminal);
            });
        }
    }
    for (;;) {
        const std::uint64_t seen = shared->ended.version();
        const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
        {
            const std::lock_guard lock(shared->mutex);
            if (shared->tasks.empty()) {
                co_return true;
            }
            if (left <= milliseconds(0)) {
                for (const auto& [id, task] : shared->tasks) {
                    base::log_error("runtime", "a task does not end",
                                    {{"group", shared->name}, {"task", task->name}});
                }
                co_return false;
            }
        }
        (void)co_await shared->ended.wait(seen, left);
    }
}

std::size_t task_group::running() const {
    const std::lock_guard lock(state_->mutex);
    return state_->tasks.size();
}

std::uint64_t task_group::failures() const {
    const std::lock_guard lock(state_->mutex);
    return state_->failures;
}

} // namespace immortal::runtime
