#include "esdb/group_consumer.hpp"

#include <boost/asio/this_coro.hpp>

#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::chrono::hours look_again{1}; // whatever happens

awaitable<bool> is_cancelled() {
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    co_return state.cancelled() != boost::asio::cancellation_type::none;
}

} // namespace

void group_consumer::offer(group_message message) {
    {
        const std::lock_guard lock(mutex_);
        if (dropped_ != drop_reason::none) {
            return;
        }
        offered_.push_back(std::move(message));
    }
    changed_.notify_all();
}

void group_consumer::let_go() {
    const std::lock_guard lock(mutex_);
    for (group_message& message : offered_) {
        make_hollow(message);
    }
}

void group_consumer::drop(drop_reason why) {
    {
        const std::lock_guard lock(mutex_);
        if (dropped_ != drop_reason::none) {
            return;
        }
        dropped_ = why;
        offered_.clear();
    }
    changed_.notify_all();
}

awaitable<std::optional<group_message>> group_consumer::next() {
    for (;;) {
        const auto seen = changed_.version();
        {
            const std::lock_guard lock(mutex_);
            if (dropped_ != drop_reason::none) {
                co_return std::nullopt;
            }
            if (!offered_.empty()) {
                std::optional<group_message> message(std::move(offered_.front()));
                offered_.pop_front();
                co_return message;
            }
        }
        if (!co_await changed_.wait(seen, look_again) && co_await is_cancelled()) {
            co_return std::nullopt;
        }
    }
}

awaitable<void> group_consumer::end() {
    for (auto seen = changed_.version(); dropped() == drop_reason::none;
         seen = changed_.version()) {
        if (!co_await changed_.wait(seen, look_again) && co_await is_cancelled()) {
            co_return;
        }
    }
}

drop_reason group_consumer::dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
}

} // namespace immortal::esdb
