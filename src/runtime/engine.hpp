// The threads that run every coroutine of the process.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <utility>

namespace immortal::runtime {

using boost::asio::any_io_executor;
using boost::asio::awaitable;
using std::chrono::milliseconds;

// An io_context and its threads. The engine is made first and destroyed last: everything that runs
// on it is stopped before, so that no coroutine frame outlives what it refers to.
class engine {
public:
    struct settings {
        std::size_t threads = 0; // 0: one per processor, at least two
        milliseconds drain{
            2000}; // stop(): how long work still outstanding may take to end by itself
    };

    engine() : engine(settings{}) {}
    explicit engine(settings options);
    ~engine(); // stop()
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    // Thread-safe. Handlers run on any of the threads: what shares state uses a strand.
    [[nodiscard]] any_io_executor executor();

    // Starts the threads; a second call does nothing. An exception that leaves a handler is logged,
    // and the thread goes on. Throws std::system_error when the system refuses a thread: the engine
    // can then only be stopped.
    void start();

    // Waits up to `drain` for outstanding work, abandons the rest, joins the threads. Not from a
    // thread of the engine. A stopped engine is not started again.
    void stop();

    // Runs `work` to its end on a strand of its own and gives its value, or rethrows. Blocks the
    // caller, so never from a thread of the engine; the engine is started, and is not stopped
    // meanwhile.
    template <typename T>
    T run(awaitable<T> work);

private:
    struct state;
    std::unique_ptr<state> state_;
};

namespace detail {

template <typename T>
awaitable<void> store(awaitable<T> work, std::optional<T>* out) {
    out->emplace(co_await std::move(work));
}

} // namespace detail

template <typename T>
T engine::run(awaitable<T> work) {
    namespace asio = boost::asio;
    auto strand = asio::make_strand(executor());
    if constexpr (std::is_void_v<T>) {
        asio::co_spawn(strand, std::move(work), asio::use_future).get();
    } else {
        std::optional<T> value; // outlives the coroutine: this frame waits for it
        asio::co_spawn(strand, detail::store(std::move(work), &value), asio::use_future).get();
        return std::move(*value);
    }
}

} // namespace immortal::runtime
