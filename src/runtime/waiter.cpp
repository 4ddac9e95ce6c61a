#include "runtime/waiter.hpp"

#include "base/assert.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace immortal::runtime {

namespace asio = boost::asio;

namespace {

// Posts the end of the wait to where the coroutine lives. (Boost 1.81's any_completion_handler
// crashes when it is posted; this is a copyable stand-in.)
using completion = std::function<void(wake_reason)>;

template <typename Handler>
completion make_completion(Handler handler) {
    const any_io_executor home = asio::get_associated_executor(handler);
    return [home, shared = std::make_shared<Handler>(std::move(handler))](wake_reason reason) {
        asio::post(home, [shared, reason] { std::move (*shared)(reason); });
    };
}

} // namespace

struct waiter::state {
    explicit state(any_io_executor e) : timer(std::move(e)) {}

    std::mutex mutex; // guards what follows, the timer included
    asio::steady_timer timer;
    completion handler;
    std::optional<wake_reason> ended;
};

waiter::waiter(any_io_executor executor) : state_(std::make_unique<state>(std::move(executor))) {}
waiter::~waiter() = default;

std::shared_ptr<waiter> waiter::make(any_io_executor executor) {
    return std::shared_ptr<waiter>(new waiter(std::move(executor)));
}

bool waiter::wake(wake_reason reason) {
    completion handler;
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->ended) {
            return false;
        }
        state_->ended = reason;
        handler = std::move(state_->handler);
        state_->handler = nullptr;
        state_->timer.cancel();
    }
    if (handler) {
        handler(reason);
    }
    return true;
}

awaitable<wake_reason> waiter::wait(std::shared_ptr<waiter> self, milliseconds limit) {
    return asio::async_initiate<const asio::use_awaitable_t<>, void(wake_reason)>(
        [own = std::move(self), limit](auto handler) mutable {
            const std::shared_ptr<waiter> target = std::move(own);
            IMMORTAL_ASSERT(target != nullptr);
            auto slot = asio::get_associated_cancellation_slot(handler);
            state& s = *target->state_;
            const std::lock_guard lock(s.mutex);
            if (s.ended) {
                make_completion(std::move(handler))(*s.ended);
                return;
            }
            if (slot.is_connected()) {
                slot.assign([weak = std::weak_ptr(target)](asio::cancellation_type) {
                    if (const auto w = weak.lock()) {
                        w->wake(wake_reason::cancelled);
                    }
                });
            }
            s.handler = make_completion(std::move(handler));
            s.timer.expires_after(limit);
            // The pending timer keeps the waiter alive until it has ended.
            s.timer.async_wait([target](const boost::system::error_code& failed) {
                if (!failed) {
                    target->wake(wake_reason::timed_out);
                }
            });
        },
        asio::use_awaitable);
}

} // namespace immortal::runtime
