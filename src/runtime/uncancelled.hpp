// Hopping to another executor without taking the caller's cancellation along.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace immortal::runtime {

// The completion token for `co_await co_spawn(other_executor, work, uncancelled())`: `work` runs to
// its own end. With plain use_awaitable Asio would send the caller's cancellation to the other
// executor by the address of a signal that is gone if `work` ends first.
[[nodiscard]] inline auto uncancelled() {
    return boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(),
                                               boost::asio::use_awaitable);
}

// Runs `work` on the caller's executor to its own end, even when nobody waits for it any more.
template <typename T>
[[nodiscard]] boost::asio::awaitable<T> to_its_end(boost::asio::awaitable<T> work) {
    co_return co_await boost::asio::co_spawn(co_await boost::asio::this_coro::executor,
                                             std::move(work), uncancelled());
}

} // namespace immortal::runtime
