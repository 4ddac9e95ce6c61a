#include "base/log.hpp"
#include "postgres/connection.hpp"
#include "runtime/uncancelled.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace immortal::postgres {

namespace asio = boost::asio;
using base::errc;
using base::fail;

namespace {

using payload = std::optional<std::string>;
constexpr milliseconds probe_interval{15000}; // a silent session is asked for a sign of life

// Everything on the strand.
class listening : public std::enable_shared_from_this<listening> {
public:
    listening(asio::any_io_executor executor, settings options, std::string channel)
        : strand_(asio::make_strand(std::move(executor))), options_(std::move(options)),
          channel_(std::move(channel)), pause_(strand_) {}

    [[nodiscard]] const strand& executor() const { return strand_; }
    awaitable<base::result<payload>> next(std::shared_ptr<listening> keep);
    void cancel();

private:
    awaitable<bool> connect();
    awaitable<bool> alive();

    const strand strand_;
    const settings options_;
    const std::string channel_;
    std::shared_ptr<connection> session_;
    asio::steady_timer pause_;
    unsigned failures_ = 0;
    bool cancelled_ = false;
};

void listening::cancel() {
    cancelled_ = true;
    pause_.cancel();
    if (session_) {
        session_->abort();
    }
}

awaitable<bool> listening::connect() {
    session_ = std::make_shared<connection>(strand_, options_);
    if (!co_await session_->open()) {
        co_return false;
    }
    const execution done = co_await session_->execute_once("LISTEN " + session_->quoted(channel_),
                                                           std::chrono::steady_clock::now() +
                                                               options_.connect_timeout);
    co_return done.ok();
}

awaitable<bool> listening::alive() {
    const execution done = co_await session_->execute_once(
        "SELECT 1", std::chrono::steady_clock::now() + options_.connect_timeout);
    co_return done.ok();
}

awaitable<base::result<payload>> listening::next(std::shared_ptr<listening> /*keep*/) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!cancelled_) {
        if (session_) {
            const auto limit = std::chrono::steady_clock::now() + probe_interval;
            if (auto got = co_await session_->notification(limit)) {
                co_return std::move(*got);
            }
            if (cancelled_ || co_await alive()) {
                continue;
            }
            session_.reset();
            base::log_warning("postgres", "listener lost its connection", {{"channel", channel_}});
            continue;
        }
        if (co_await connect()) {
            failures_ = 0;
            co_return payload{};
        }
        session_.reset();
        if (!cancelled_) {
            pause_.expires_after(
                std::min(milliseconds(1000), milliseconds(50) * (1u << std::min(failures_++, 5u))));
            boost::system::error_code ignored;
            co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
    }
    co_return fail(errc::cancelled, "the service is stopping");
}

class own_listener final : public listener {
public:
    explicit own_listener(std::shared_ptr<listening> owned) : state_(std::move(owned)) {}
    ~own_listener() override { cancel(); }

    awaitable<base::result<payload>> next() override {
        return asio::co_spawn(state_->executor(), state_->next(state_), runtime::uncancelled());
    }
    void cancel() override {
        asio::post(state_->executor(), [state = state_] { state->cancel(); });
    }

private:
    std::shared_ptr<listening> state_;
};

} // namespace

std::unique_ptr<listener> make_listener(asio::any_io_executor executor, settings options,
                                        std::string channel) {
    return std::make_unique<own_listener>(
        std::make_shared<listening>(std::move(executor), std::move(options), std::move(channel)));
}

} // namespace immortal::postgres
