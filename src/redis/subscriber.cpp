#include "base/log.hpp"
#include "redis/session.hpp"
#include "runtime/uncancelled.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace immortal::redis {

namespace asio = boost::asio;
using base::errc;
using base::fail;

namespace {

using delivery = base::result<std::optional<message>>;
constexpr milliseconds silence_max{10000}; // then a PING; after as long again the peer is gone

// Everything on the strand.
class subscribing : public std::enable_shared_from_this<subscribing> {
public:
    subscribing(asio::any_io_executor executor, settings options, std::vector<std::string> channels)
        : strand_(asio::make_strand(std::move(executor))), options_(std::move(options)),
          to_(parse_endpoint(options_.uri)), channels_(std::move(channels)), pause_(strand_),
          silence_(strand_) {}

    [[nodiscard]] const strand& executor() const { return strand_; }
    awaitable<delivery> next(std::shared_ptr<subscribing> keep);
    void cancel();

private:
    awaitable<bool> subscribe();
    awaitable<std::optional<message>> read();
    void watch(bool asked);
    static awaitable<void> ask(std::shared_ptr<session> whom);

    const strand strand_;
    const settings options_;
    const base::result<endpoint> to_;
    const std::vector<std::string> channels_;
    std::shared_ptr<session> session_;
    asio::steady_timer pause_;
    asio::steady_timer silence_;
    unsigned failures_ = 0;
    bool cancelled_ = false;
};

void subscribing::cancel() {
    cancelled_ = true;
    pause_.cancel();
    if (session_) {
        session_->close();
    }
}

awaitable<void> subscribing::ask(std::shared_ptr<session> whom) {
    std::string bytes;
    encode({"PING"}, bytes);
    co_await whom->write(std::move(bytes));
}

// A connection that says nothing for long is asked, then given up.
void subscribing::watch(bool asked) {
    silence_.expires_after(silence_max);
    silence_.async_wait(
        [self = shared_from_this(), whom = session_, asked](boost::system::error_code code) {
            if (code) {
                return;
            }
            if (asked) {
                whom->close();
            } else {
                asio::co_spawn(self->strand_, ask(whom), asio::detached);
                self->watch(true);
            }
        });
}

awaitable<bool> subscribing::subscribe() {
    session_ = std::make_shared<session>(strand_, *to_);
    if (!co_await session_->open(options_.connect_timeout)) {
        co_return false;
    }
    command c{"SUBSCRIBE"};
    c.insert(c.end(), channels_.begin(), channels_.end());
    std::string bytes;
    encode(c, bytes);
    watch(true);
    bool done = co_await session_->write(std::move(bytes));
    for (std::size_t i = 0; i < channels_.size() && done; ++i) {
        const auto answer = co_await session_->read();
        done = answer && answer->what == reply::kind::array;
    }
    silence_.cancel();
    co_return done;
}

// Empty: the connection has ended.
awaitable<std::optional<message>> subscribing::read() {
    for (;;) {
        watch(false);
        auto got = co_await session_->read();
        silence_.cancel();
        if (!got) {
            co_return std::nullopt;
        }
        if (got->items.size() == 3 && got->items[0].text == "message") {
            co_return message{std::move(got->items[1].text), std::move(got->items[2].text)};
        }
    }
}

awaitable<delivery> subscribing::next(std::shared_ptr<subscribing> /*keep*/) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (!to_) {
        co_return fail(to_.error());
    }
    boost::system::error_code ignored;
    while (!cancelled_) {
        if (session_) {
            if (auto got = co_await read()) {
                co_return got;
            }
            session_.reset();
            if (!cancelled_) {
                base::log_warning("redis", "subscriber lost its connection");
            }
            continue;
        }
        if (co_await subscribe() && !cancelled_) {
            failures_ = 0;
            co_return std::optional<message>{};
        }
        session_.reset();
        if (!cancelled_) {
            pause_.expires_after(back_off(failures_++));
            co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
    }
    co_return fail(errc::cancelled, "the service is stopping");
}

class own_subscriber final : public subscriber {
public:
    explicit own_subscriber(std::shared_ptr<subscribing> owned) : state_(std::move(owned)) {}
    ~own_subscriber() override { cancel(); }

    awaitable<delivery> next() override {
        return asio::co_spawn(state_->executor(), state_->next(state_), runtime::uncancelled());
    }
    void cancel() override {
        asio::post(state_->executor(), [state = state_] { state->cancel(); });
    }

private:
    std::shared_ptr<subscribing> state_;
};

} // namespace

std::unique_ptr<subscriber> make_subscriber(asio::any_io_executor executor, settings options,
                                            std::vector<std::string> channels) {
    return std::make_unique<own_subscriber>(std::make_shared<subscribing>(
        std::move(executor), std::move(options), std::move(channels)));
}

} // namespace immortal::redis
