#include "readmodel/progress.hpp"

#include "runtime/waiter.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace immortal::readmodel {

namespace {

constexpr std::size_t everywhere = partition_count;

struct waiting_caller {
    std::uint64_t ticket;
    std::size_t partition; // or `everywhere`
    base::position at;
    std::weak_ptr<runtime::waiter> waiter;
};

base::error late() {
    base::error e{base::errc::behind,
                  "The read model has not reached the position asked for yet. Try again soon.",
                  "read_model_behind"};
    e.retry_after_ms = 200;
    return e;
}

base::error stopping() {
    return {base::errc::cancelled, "The read model is stopping."};
}

} // namespace

struct progress::state {
    std::mutex mutex; // guards all that follows
    std::array<std::optional<base::position>, partition_count> applied;
    std::vector<waiting_caller> waiting;
    std::uint64_t tickets = 0;
    bool stopped = false;

    [[nodiscard]] bool reached(std::size_t partition, base::position at) const {
        // An empty optional is smaller than every position.
        const auto& has =
            partition == everywhere ? *std::ranges::min_element(applied) : applied[partition];
        return has && *has >= at;
    }

    std::vector<std::weak_ptr<runtime::waiter>> take_ready() {
        std::vector<std::weak_ptr<runtime::waiter>> ready;
        std::erase_if(waiting, [&](waiting_caller& one) {
            if (!stopped && !reached(one.partition, one.at)) {
                return false;
            }
            ready.push_back(std::move(one.waiter));
            return true;
        });
        return ready;
    }
};

namespace {

void wake(const std::vector<std::weak_ptr<runtime::waiter>>& ready) {
    for (const auto& weak : ready) {
        if (const auto one = weak.lock()) {
            one->wake();
        }
    }
}

} // namespace

progress::progress() : state_(std::make_shared<state>()) {}
progress::~progress() = default;

std::optional<base::position> progress::applied(std::size_t partition) const {
    const std::lock_guard lock(state_->mutex);
    return state_->applied.at(partition);
}

std::optional<base::position> progress::applied_everywhere() const {
    const std::lock_guard lock(state_->mutex);
    return *std::ranges::min_element(state_->applied);
}

void progress::advance(std::size_t partition, base::position to) {
    std::array<std::optional<base::position>, partition_count> all;
    all.at(partition) = to;
    advance_all(all);
}

void progress::advance_all(const std::array<std::optional<base::position>, partition_count>& to) {
    std::vector<std::weak_ptr<runtime::waiter>> ready;
    {
        const std::lock_guard lock(state_->mutex);
        for (std::size_t i = 0; i < partition_count; ++i) {
            state_->applied[i] = std::max(state_->applied[i], to[i]);
        }
        ready = state_->take_ready();
    }
    wake(ready);
}

void progress::reset() {
    const std::lock_guard lock(state_->mutex);
    state_->applied = {};
}

awaitable<base::status> progress::wait(std::size_t partition, base::position at,
                                       milliseconds deadline) {
    const auto shared = state_;
    auto own = runtime::waiter::make(co_await boost::asio::this_coro::executor);
    std::uint64_t ticket = 0;
    {
        const std::lock_guard lock(shared->mutex);
        if (shared->reached(partition, at)) {
            co_return base::status{};
        }
        if (shared->stopped) {
            co_return base::fail(stopping());
        }
        if (deadline <= milliseconds{0}) {
            co_return base::fail(late());
        }
        if (shared->waiting.size() >= progress_waiters_max) {
            co_return base::fail(base::errc::exhausted,
                                 "Too many requests wait for the read model. Try again soon.");
        }
        ticket = ++shared->tickets;
        shared->waiting.push_back({ticket, partition, at, own});
    }
    co_await runtime::waiter::wait(std::move(own), deadline);
    const std::lock_guard lock(shared->mutex);
    std::erase_if(shared->waiting, [&](const auto& one) { return one.ticket == ticket; });
    if (shared->reached(partition, at)) {
        co_return base::status{};
    }
    co_return base::fail(shared->stopped ? stopping() : late());
}

awaitable<base::status> progress::wait_owner(base::uuid owner, base::position at,
                                             milliseconds deadline) {
    return wait(partition_of(owner), at, deadline);
}

awaitable<base::status> progress::wait_everywhere(base::position at, milliseconds deadline) {
    return wait(everywhere, at, deadline);
}

std::size_t progress::waiting() const {
    const std::lock_guard lock(state_->mutex);
    return state_->waiting.size();
}

void progress::stop() {
    std::vector<std::weak_ptr<runtime::waiter>> ready;
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopped = true;
        ready = state_->take_ready();
    }
    wake(ready);
}

} // namespace immortal::readmodel
