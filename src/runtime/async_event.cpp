#include "runtime/async_event.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace immortal::runtime {

struct async_event::state {
    mutable std::mutex mutex;
    std::uint64_t version = 0;
    // Weak, for a waiter leads to a frame that holds this state; its timer keeps it alive.
    std::vector<std::weak_ptr<waiter>> waiting;
};

async_event::async_event() : state_(std::make_shared<state>()) {}
async_event::~async_event() = default;

std::uint64_t async_event::version() const {
    const std::lock_guard lock(state_->mutex);
    return state_->version;
}

void async_event::notify_all() {
    std::vector<std::weak_ptr<waiter>> woken;
    {
        const std::lock_guard lock(state_->mutex);
        ++state_->version;
        woken.swap(state_->waiting);
    }
    for (const auto& weak : woken) {
        if (const auto w = weak.lock()) {
            w->wake();
        }
    }
}

awaitable<bool> async_event::wait(std::uint64_t seen, milliseconds limit) {
    const auto shared = state_;
    auto own = waiter::make(co_await boost::asio::this_coro::executor);
    {
        const std::lock_guard lock(shared->mutex);
        if (shared->version > seen) {
            co_return true;
        }
        shared->waiting.push_back(own);
    }
    const std::weak_ptr<waiter> mine = own;
    const wake_reason reason = co_await waiter::wait(std::move(own), limit);
    if (reason == wake_reason::notified) {
        co_return true;
    }
    const std::lock_guard lock(shared->mutex);
    std::erase_if(shared->waiting, [&mine](const auto& other) {
        return !mine.owner_before(other) && !other.owner_before(mine);
    });
    co_return shared->version > seen;
}

} // namespace immortal::runtime
