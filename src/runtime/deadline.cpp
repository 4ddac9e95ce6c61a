#include "runtime/deadline.hpp"

#include <boost/asio/redirect_error.hpp>

namespace immortal::runtime {

namespace asio = boost::asio;

awaitable<bool> wait_for(std::chrono::nanoseconds duration) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(duration));
    boost::system::error_code failed;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, failed));
    co_return !failed;
}

namespace detail {

void deadline_watch::arm(milliseconds limit) {
    timer_.expires_after(limit);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& failed) {
        if (!failed && !self->done_) {
            self->expired_ = true;
            self->signal_.emit(asio::cancellation_type::terminal);
        }
    });
}

void deadline_watch::disarm() {
    done_ = true;
    timer_.cancel();
}

void deadline_watch::cancel_from_outside() {
    asio::post(strand_, [self = shared_from_this()] {
        if (!self->done_) {
            self->signal_.emit(asio::cancellation_type::terminal);
        }
    });
}

base::error deadline_error() {
    return {base::errc::timeout, "The operation took longer than its deadline allows."};
}

} // namespace detail

} // namespace immortal::runtime
