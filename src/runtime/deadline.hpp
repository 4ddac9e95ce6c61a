// Deadlines: every wait has one.
#pragma once

#include "base/result.hpp"
#include "runtime/engine.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace immortal::runtime {

// True when `duration` has passed; false if the coroutine was cancelled meanwhile.
[[nodiscard]] awaitable<bool> wait_for(std::chrono::nanoseconds duration);

// Runs `work` on a strand of its own. When `limit` passes first, `work` is cancelled and *waited
// for* (so what it refers to may go away afterwards): work must react to cancellation, as every
// Asio operation and everything in this module does. Errors: those of `work`; timeout when it was
// cut short. A result that `work` had ready when the limit passed is given, not dropped. Exceptions
// of `work` pass through. Cancelling the caller cancels `work`.
template <typename T>
[[nodiscard]] awaitable<base::result<T>> with_deadline(awaitable<base::result<T>> work,
                                                       milliseconds limit);

namespace detail {

// The timer and the cancellation of one with_deadline; used on its strand only.
class deadline_watch : public std::enable_shared_from_this<deadline_watch> {
public:
    explicit deadline_watch(any_io_executor strand) : strand_(strand), timer_(strand) {}

    void arm(milliseconds limit); // on the strand
    void disarm();                // on the strand
    void cancel_from_outside();   // from anywhere
    [[nodiscard]] boost::asio::cancellation_slot slot() { return signal_.slot(); }
    [[nodiscard]] bool expired() const { return expired_; } // after the work has ended

private:
    any_io_executor strand_;
    boost::asio::steady_timer timer_;
    boost::asio::cancellation_signal signal_;
    bool expired_ = false;
    bool done_ = false;
};

struct disarm_at_end {
    deadline_watch& watch;
    ~disarm_at_end() { watch.disarm(); }
};

base::error deadline_error();

template <typename T>
awaitable<void> run_watched(awaitable<base::result<T>> work, std::shared_ptr<deadline_watch> watch,
                            milliseconds limit, std::optional<base::result<T>>* out) {
    const disarm_at_end guard{*watch};
    watch->arm(limit);
    try {
        out->emplace(co_await std::move(work));
    } catch (const boost::system::system_error& e) {
        if (!watch->expired() || e.code() != boost::asio::error::operation_aborted) {
            throw;
        }
        out->emplace(base::fail(deadline_error()));
    }
}

} // namespace detail

template <typename T>
awaitable<base::result<T>> with_deadline(awaitable<base::result<T>> work, milliseconds limit) {
    namespace asio = boost::asio;
    auto strand = asio::make_strand(co_await asio::this_coro::executor);
    auto watch = std::make_shared<detail::deadline_watch>(strand);
    std::optional<base::result<T>> value; // this frame waits until the work has ended
    auto outer = (co_await asio::this_coro::cancellation_state).slot();
    if (outer.is_connected()) {
        outer.assign([watch](asio::cancellation_type) { watch->cancel_from_outside(); });
    }
    co_await asio::co_spawn(strand, detail::run_watched<T>(std::move(work), watch, limit, &value),
                            asio::bind_cancellation_slot(watch->slot(), asio::use_awaitable));
    if (outer.is_connected()) {
        outer.clear();
    }
    if (!*value && (*value).error().code == base::errc::cancelled && watch->expired()) {
        co_return base::fail(detail::deadline_error());
    }
    co_return std::move(*value);
}

} // namespace immortal::runtime
