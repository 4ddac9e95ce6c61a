#include "redis/link.hpp"

#include "base/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace immortal::redis {

namespace asio = boost::asio;
using base::errc;
using base::fail;
using clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t outgoing_max = 64u << 20; // bytes that wait for the socket
constexpr milliseconds stop_limit{2000};

// Counts a coroutine of the connection, and tells stop() when the last one has ended.
struct counted {
    counted(unsigned& count, asio::steady_timer& when_none) : count_(count), ended_(when_none) {
        ++count_;
    }
    ~counted() {
        if (--count_ == 0) {
            ended_.cancel();
        }
    }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    unsigned& count_;
    asio::steady_timer& ended_;
};

base::error lost() {
    return {errc::unavailable, "the connection to Redis was lost; try again"};
}

base::error stopping() {
    return {errc::cancelled, "the service is stopping"};
}

awaitable<void> wait(asio::steady_timer& timer) {
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

} // namespace

link::link(asio::any_io_executor executor, settings options)
    : options_(std::move(options)), strand_(asio::make_strand(std::move(executor))),
      to_(parse_endpoint(options_.uri)), writable_(strand_), pause_(strand_), ended_(strand_) {}

base::status link::admit(std::size_t count, std::size_t bytes) {
    if (state_ == state::stopped) {
        return fail(stopping());
    }
    if (!to_) {
        return fail(to_.error());
    }
    if (state_ == state::away) {
        return fail(errc::unavailable, "Redis cannot be reached; try again");
    }
    if (in_flight_ + count > options_.in_flight_max || outgoing_.size() + bytes > outgoing_max) {
        return fail(errc::exhausted, "too many commands wait for Redis; try again");
    }
    return {};
}

void link::begin() {
    if (state_ == state::unused) {
        state_ = state::first_attempt;
        asio::co_spawn(strand_, keep_up(shared_from_this()), asio::detached);
    }
}

awaitable<base::result<std::vector<reply>>> link::run(std::vector<command> commands) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    const auto keep = shared_from_this();
    if (commands.empty()) {
        co_return std::vector<reply>{};
    }
    std::string bytes;
    for (const auto& c : commands) {
        encode(c, bytes);
    }
    if (auto admitted = admit(commands.size(), bytes.size()); !admitted) {
        co_return fail(admitted.error());
    }
    begin();
    auto self = std::make_shared<request>(strand_);
    self->wanted = commands.size();
    self->replies.reserve(commands.size());
    pipeline_.push_back(self);
    in_flight_ += commands.size();
    outgoing_ += bytes;
    writable_.cancel();

    const auto begun = clock::now();
    self->done.expires_at(begun + options_.command_timeout);
    while (!self->complete() && !self->failed && self->done.expiry() > clock::now()) {
        co_await wait(self->done);
    }
    if (self->complete()) {
        co_return std::move(self->replies);
    }
    if (self->failed) {
        co_return fail(*self->failed);
    }
    if (session_ && session_->last_heard() < begun) {
        session_->close(); // nothing came since: the peer is gone, or stands still
    }
    co_return fail(errc::timeout, "Redis did not answer in time");
}

// False: nobody asked for this reply.
bool link::deliver(reply r) {
    if (pipeline_.empty()) {
        return false;
    }
    auto& front = pipeline_.front();
    front->replies.push_back(std::move(r));
    if (front->complete()) {
        in_flight_ -= front->wanted;
        front->done.cancel();
        pipeline_.pop_front();
    }
    return true;
}

void link::fail_all(const base::error& why) {
    for (const auto& waiting : std::exchange(pipeline_, {})) {
        waiting->failed = why;
        waiting->done.cancel();
    }
    in_flight_ = 0;
    outgoing_.clear();
}

awaitable<void> link::write_all(std::shared_ptr<link> self, std::shared_ptr<session> to) {
    const counted running(self->running_, self->ended_);
    while (self->session_ == to) {
        if (self->outgoing_.empty()) {
            self->writable_.expires_at(clock::time_point::max());
            co_await wait(self->writable_);
        } else if (!co_await to->write(std::exchange(self->outgoing_, {}))) {
            to->close(); // the reader sees the end
            co_return;
        }
    }
}

awaitable<void> link::read_all(session& from) {
    while (auto next = co_await from.read()) {
        if (!deliver(std::move(*next))) {
            base::log_error("redis", "the server answers what nobody asked");
            co_return;
        }
    }
}

awaitable<void> link::keep_up(std::shared_ptr<link> self) {
    const counted running(self->running_, self->ended_);
    unsigned failures = 0;
    while (self->state_ != state::stopped) {
        auto fresh = std::make_shared<session>(self->strand_, *self->to_);
        self->session_ = fresh;
        if (co_await fresh->open(self->options_.connect_timeout) &&
            self->state_ != state::stopped) {
            base::log_info("redis", "connected");
            failures = 0;
            self->state_ = state::up;
            self->connected_ = true;
            asio::co_spawn(self->strand_, write_all(self, fresh), asio::detached);
            co_await self->read_all(*fresh);
            self->connected_ = false;
        }
        fresh->close();
        self->session_.reset();
        self->writable_.cancel();
        if (self->state_ == state::stopped) {
            break;
        }
        if (self->state_ == state::up) {
            base::log_warning("redis", "connection lost");
        }
        self->state_ = state::away;
        self->fail_all(lost());
        self->pause_.expires_after(back_off(failures++));
        co_await wait(self->pause_);
    }
}

void link::shut() {
    state_ = state::stopped;
    fail_all(stopping());
    pause_.cancel();
    if (session_) {
        session_->close();
    }
}

awaitable<void> link::stop() {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    const auto keep = shared_from_this();
    shut();
    if (running_ > 0) {
        ended_.expires_after(stop_limit);
        co_await wait(ended_);
    }
}

} // namespace immortal::redis
