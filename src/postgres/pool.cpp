#include "postgres/pool.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace immortal::postgres {

namespace asio = boost::asio;
using base::errc;
using base::fail;
using clock = std::chrono::steady_clock;

namespace {

milliseconds back_off(unsigned failures) {
    return std::min(milliseconds(1000), milliseconds(50) * (1u << std::min(failures, 5u)));
}

std::unexpected<base::error> stopping() {
    return fail(errc::cancelled, "the service is stopping");
}

} // namespace

// Keeps a waiter in line for as long as its frame lives.
struct pool::place_in_line {
    place_in_line(std::deque<waiter*>& where, waiter& who) : line(where), self(who) {
        line.push_back(&self);
    }
    ~place_in_line() { std::erase(line, &self); }
    std::deque<waiter*>& line;
    waiter& self;
};

lease::~lease() {
    if (owner_) {
        owner_->release(std::move(taken_), healthy);
    }
}

pool::pool(asio::any_io_executor executor, settings options, base::metrics& metrics)
    : options_(std::move(options)), strand_(asio::make_strand(std::move(executor))),
      drained_(strand_),
      succeeded_(metrics.make_counter("immortal_postgres_calls_total", "Calls of the database",
                                      {{"outcome", "ok"}})),
      failed_(metrics.make_counter("immortal_postgres_calls_total", "Calls of the database",
                                   {{"outcome", "error"}})),
      connections_(metrics.make_gauge("immortal_postgres_connections", "Open connections")),
      seconds_(metrics.make_histogram("immortal_postgres_call_seconds",
                                      "Duration of a call, waiting for a connection included",
                                      base::metrics::latency_bounds())) {}

bool pool::is_missing_right_due() {
    const base::steady_time now = clock::now();
    const bool due = missing_right_logged_ == base::steady_time{} ||
                     now - missing_right_logged_ >= std::chrono::seconds(1);
    missing_right_logged_ = due ? now : missing_right_logged_;
    return due;
}

base::steady_time pool::deadline_of(milliseconds timeout) const {
    return clock::now() + (timeout > milliseconds(0)
                               ? timeout
                               : options_.statement_timeout + options_.reply_grace);
}

void pool::change_connections(double by) {
    if (measured_.load()) {
        connections_.add(by);
    }
}

void pool::count(const std::optional<base::error>& failed, base::steady_time begun) {
    if (!measured_.load()) {
        return;
    }
    (failed ? failed_ : succeeded_).add();
    seconds_.observe(std::chrono::duration<double>(clock::now() - begun).count());
}

lease pool::hand_out(std::shared_ptr<connection> taken) {
    in_use_.push_back(taken);
    return {shared_from_this(), std::move(taken)};
}

std::shared_ptr<connection> pool::take_idle() {
    while (!idle_.empty()) {
        auto candidate = std::move(idle_.back());
        idle_.pop_back();
        if (candidate->usable()) {
            return candidate;
        }
        candidate.reset();
        change_connections(-1);
        give_up_slot();
    }
    return nullptr;
}

awaitable<base::result<lease>> pool::acquire(base::steady_time deadline) {
    if (stopped_) {
        co_return stopping();
    }
    if (auto idle = take_idle()) {
        co_return hand_out(std::move(idle));
    }
    if (slots_ < options_.connections_max) {
        ++slots_;
        co_return co_await open_new();
    }
    if (waiting_.size() >= options_.waiting_max) {
        co_return fail(errc::exhausted, "too many requests wait for the database; try again");
    }
    co_return co_await wait_in_line(std::min(deadline, clock::now() + options_.waiting_timeout));
}

awaitable<base::result<lease>> pool::wait_in_line(base::steady_time deadline) {
    waiter self(strand_);
    self.timer.expires_at(deadline);
    const auto keep = shared_from_this();
    const place_in_line place(waiting_, self);
    boost::system::error_code ignored;
    co_await self.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (self.given) {
        co_return lease(shared_from_this(), std::move(self.given));
    }
    if (self.may_open) {
        co_return co_await open_new();
    }
    if (stopped_) {
        co_return stopping();
    }
    co_return fail(errc::timeout, "the database is too busy; try again");
}

// Holds a slot, and gives it up when no connection comes about.
awaitable<base::result<lease>> pool::open_new() {
    if (clock::now() < retry_at_) {
        give_up_slot();
        co_return fail(last_failure_.value_or(
            base::error{errc::unavailable, "the database cannot be reached; try again"}));
    }
    auto fresh = std::make_shared<connection>(strand_, options_);
    in_use_.push_back(fresh); // so that stop() ends the attempt
    const base::status opened = co_await fresh->open();
    std::erase(in_use_, fresh);
    if (!opened || stopped_) {
        if (!opened) {
            note_failure(opened.error());
        }
        give_up_slot();
        co_return opened ? stopping() : fail(opened.error());
    }
    note_answer();
    failures_ = 0;
    last_failure_.reset();
    change_connections(1);
    co_return hand_out(std::move(fresh));
}

void pool::note_failure(base::error why) {
    available_ = false;
    retry_at_ = clock::now() + back_off(failures_++);
    last_failure_ = std::move(why);
}

void pool::note_answer() {
    if (!available_.exchange(true)) {
        base::log_info("postgres", "connected");
    }
}

// The slot goes to the first in line, who tries anew (and fails at once while the server is away).
void pool::give_up_slot() {
    if (!waiting_.empty() && !stopped_) {
        waiter* next = waiting_.front();
        waiting_.pop_front();
        next->may_open = true;
        next->timer.cancel();
        return;
    }
    IMMORTAL_ASSERT(slots_ > 0);
    --slots_;
    if (slots_ == 0) {
        drained_.cancel();
    }
}

void pool::release(std::shared_ptr<connection> back, bool healthy) {
    std::erase(in_use_, back);
    if (!healthy || stopped_) {
        back.reset();
        change_connections(-1);
        give_up_slot();
        return;
    }
    if (waiting_.empty()) {
        idle_.push_back(std::move(back));
        return;
    }
    waiter* next = waiting_.front();
    waiting_.pop_front();
    in_use_.push_back(back);
    next->given = std::move(back);
    next->timer.cancel();
}

void pool::refuse() {
    stopped_ = true;
    for (waiter* next : waiting_) {
        next->timer.cancel();
    }
    for (const auto idle = std::exchange(idle_, {}); const auto& closed : idle) {
        closed->abort();
        change_connections(-1);
        give_up_slot();
    }
}

void pool::abort_all() {
    refuse();
    for (const auto& busy : in_use_) {
        busy->abort();
    }
}

awaitable<void> pool::stop(milliseconds grace) {
    const auto keep = shared_from_this();
    boost::system::error_code ignored;
    refuse();
    if (slots_ > 0) {
        drained_.expires_after(grace);
        co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    abort_all();
    if (slots_ > 0) { // calls end at once now; a transaction when its holder lets go of it
        drained_.expires_after(grace);
        co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
}

} // namespace immortal::postgres
