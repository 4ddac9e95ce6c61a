// Threads for calls that block: password hashing, file work, name resolution.
#pragma once

#include "base/result.hpp"
#include "runtime/engine.hpp"

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace immortal::runtime {

namespace detail {

template <typename T>
struct as_result {
    using type = base::result<T>;
};
template <typename T>
struct as_result<base::result<T>> {
    using type = base::result<T>;
};

} // namespace detail

class blocking_pool {
public:
    struct settings {
        std::size_t threads = 2;
        std::size_t queue_max = 64; // calls that wait for a thread
    };

    // Starts the threads. Throws std::system_error when the system refuses one.
    explicit blocking_pool(settings options);
    ~blocking_pool(); // stop()
    blocking_pool(const blocking_pool&) = delete;
    blocking_pool& operator=(const blocking_pool&) = delete;

    // Runs `work` (no arguments; its references outlive the call) on a thread of the pool and gives
    // its value; a base::result is passed on as it is, an exception is rethrown. Errors: exhausted
    // (the queue is full), timeout (it did not begin within `limit` and never will), cancelled (the
    // pool stops, or the caller was cancelled before it began). Once begun, it is waited for.
    // Thread-safe.
    template <std::invocable F>
    awaitable<typename detail::as_result<std::invoke_result_t<F>>::type>
    run(F work, milliseconds limit = std::chrono::seconds(30));

    // Refuses new calls, ends the queued ones with errc::cancelled, waits for the running ones.
    // Blocks.
    void stop();

    [[nodiscard]] std::size_t queued() const;

private:
    struct state;
    // Gives success after `job` (which does not throw) has run, or the reason why it never will.
    awaitable<base::status> run_job(std::function<void()> job, milliseconds limit);
    std::unique_ptr<state> state_;
};

template <std::invocable F>
awaitable<typename detail::as_result<std::invoke_result_t<F>>::type>
blocking_pool::run(F work, milliseconds limit) {
    using value_type = std::invoke_result_t<F>;
    using result_type = typename detail::as_result<value_type>::type;
    struct slot {
        explicit slot(F f) : call(std::move(f)) {}
        F call;
        std::optional<result_type> value;
        std::exception_ptr failure;
    };
    auto shared = std::make_shared<slot>(std::move(work));
    const base::status done = co_await run_job(
        [shared] {
            try {
                if constexpr (std::is_void_v<value_type>) {
                    shared->call();
                    shared->value.emplace();
                } else {
                    shared->value.emplace(shared->call());
                }
            } catch (...) {
                shared->failure = std::current_exception();
            }
        },
        limit);
    if (!done) {
        co_return base::fail(done.error());
    }
    if (shared->failure) {
        std::rethrow_exception(shared->failure);
    }
    co_return std::move(*shared->value);
}

} // namespace immortal::runtime
