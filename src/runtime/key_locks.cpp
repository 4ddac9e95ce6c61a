#include "runtime/key_locks.hpp"

#include "base/assert.hpp"
#include "runtime/waiter.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace immortal::runtime {

struct key_locks::request {
    std::vector<std::string> keys;
    std::size_t blocked = 0; // keys at whose head it does not stand
    // Weak, for the waiter leads to the frame that holds this request; its timer keeps it alive.
    std::weak_ptr<waiter> sleeping;
};

struct key_locks::state {
    mutable std::mutex mutex;
    std::size_t waiting_max = 0;
    std::size_t waiting = 0; // requests with blocked > 0
    std::unordered_map<std::string, std::deque<std::shared_ptr<request>>> queues;

    void enqueue(const std::shared_ptr<request>& r) {
        for (const std::string& key : r->keys) {
            auto& queue = queues[key];
            r->blocked += queue.empty() ? 0 : 1;
            queue.push_back(r);
        }
        waiting += r->blocked > 0 ? 1 : 0;
    }

    // Takes `r`, granted or not, out of its queues; gives the requests that are granted thereby.
    std::vector<std::shared_ptr<request>> remove(const std::shared_ptr<request>& r) {
        std::vector<std::shared_ptr<request>> granted;
        waiting -= r->blocked > 0 ? 1 : 0;
        for (const std::string& key : r->keys) {
            const auto queue = queues.find(key);
            IMMORTAL_ASSERT(queue != queues.end());
            auto& line = queue->second;
            const bool was_head = line.front() == r;
            line.erase(std::find(line.begin(), line.end(), r));
            if (line.empty()) {
                queues.erase(queue);
            } else if (was_head && --line.front()->blocked == 0) {
                --waiting;
                granted.push_back(line.front());
            }
        }
        return granted;
    }
};

key_locks::guard& key_locks::guard::operator=(guard&& other) noexcept {
    if (this != &other) {
        release();
        state_ = std::move(other.state_);
        request_ = std::move(other.request_);
    }
    return *this;
}

void key_locks::guard::release() {
    if (request_ == nullptr) {
        return;
    }
    std::vector<std::shared_ptr<request>> granted;
    {
        const std::lock_guard lock(state_->mutex);
        granted = state_->remove(request_);
    }
    request_.reset();
    state_.reset();
    for (const auto& next : granted) {
        // If its limit has passed at this moment, its own guard takes it out of the queues.
        if (const auto sleeping = next->sleeping.lock()) {
            sleeping->wake();
        }
    }
}

key_locks::key_locks(std::size_t waiting_max) : state_(std::make_shared<state>()) {
    state_->waiting_max = waiting_max;
}
key_locks::~key_locks() = default;

awaitable<base::result<key_locks::guard>> key_locks::lock(std::vector<std::string> keys,
                                                          milliseconds limit) {
    auto owner = state_;
    auto mine = std::make_shared<request>();
    mine->keys = std::move(keys);
    std::sort(mine->keys.begin(), mine->keys.end());
    mine->keys.erase(std::unique(mine->keys.begin(), mine->keys.end()), mine->keys.end());
    auto sleeping = waiter::make(co_await boost::asio::this_coro::executor);
    mine->sleeping = sleeping;
    bool granted = false;
    bool refused = false;
    {
        const std::lock_guard lock(owner->mutex);
        owner->enqueue(mine);
        granted = mine->blocked == 0;
        refused = owner->waiting > owner->waiting_max;
    }
    guard held(owner, mine); // from here on every way out leaves the queues in order
    if (granted) {
        co_return base::result<guard>(std::move(held));
    }
    if (refused) {
        co_return base::fail(base::errc::exhausted,
                             "Too many requests wait for the same objects; try again later.");
    }
    switch (co_await waiter::wait(std::move(sleeping), limit)) {
    case wake_reason::notified:
        co_return base::result<guard>(std::move(held));
    case wake_reason::timed_out:
        co_return base::fail(base::errc::timeout,
                             "The object is busy with other requests; try again later.");
    case wake_reason::cancelled:
        break;
    }
    co_return base::fail(base::errc::cancelled, "The service is stopping.");
}

std::size_t key_locks::waiting() const {
    const std::lock_guard lock(state_->mutex);
    return state_->waiting;
}

std::size_t key_locks::keys_held() const {
    const std::lock_guard lock(state_->mutex);
    return state_->queues.size();
}

} // namespace immortal::runtime
