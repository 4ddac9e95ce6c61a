// An event store of which one operation fails, around a real one. For tests.
#pragma once

#include "eventstore/event_store.hpp"
#include "runtime/deadline.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace immortal::esdb {

// A store of which one operation fails: the `fails_at`-th append, read or look, counted from 1.
class failing_store final : public eventstore::event_store {
public:
    explicit failing_store(eventstore::event_store& inner) : inner_(inner) {}

    void fail(std::size_t at, base::errc code = base::errc::unavailable, std::size_t times = 1) {
        count_ = 0;
        fails_at_ = at;
        times_ = times;
        code_ = code;
    }
    // Appends are answered at the end of their time, and were not written.
    void stall(bool on = true) { stalls_ = on; }
    // Whether that operation came.
    [[nodiscard]] bool failed() const { return fails_at_ != 0 && count_ >= fails_at_; }

    boost::asio::awaitable<base::result<eventstore::append_outcome>>
    append(std::vector<eventstore::stream_write> writes, eventstore::append_terms terms) override {
        if (stalls_) {
            (void)co_await runtime::wait_for(terms.limit);
            co_return base::fail(base::errc::unknown_outcome, "it takes too long");
        }
        if (!fails()) {
            co_return co_await inner_.append(std::move(writes), std::move(terms));
        }
        if (code_ == base::errc::unknown_outcome) { // it was written
            (void)co_await inner_.append(std::move(writes), std::move(terms));
        }
        co_return base::fail(code_, "as told");
    }
    boost::asio::awaitable<base::result<eventstore::stream_page>>
    read_stream(std::string stream, base::revision from, eventstore::direction way,
                std::size_t count_max) override {
        if (fails()) {
            co_return base::fail(base::errc::unavailable, "as told");
        }
        co_return co_await inner_.read_stream(std::move(stream), from, way, count_max);
    }
    boost::asio::awaitable<base::result<std::optional<base::revision>>>
    stream_head(std::string stream) override {
        return inner_.stream_head(std::move(stream));
    }
    boost::asio::awaitable<base::result<eventstore::stream_info>>
    info(std::string stream) override {
        if (fails()) {
            co_return base::fail(base::errc::unavailable, "as told");
        }
        co_return co_await inner_.info(std::move(stream));
    }
    boost::asio::awaitable<base::result<std::vector<eventstore::resolved_event>>>
    resolve_links(std::vector<eventstore::recorded_event> events) override {
        return inner_.resolve_links(std::move(events));
    }
    boost::asio::awaitable<base::result<eventstore::all_page>>
    read_all(base::position from, eventstore::direction way, std::size_t count_max,
             eventstore::all_filter filter) override {
        return inner_.read_all(from, way, count_max, std::move(filter));
    }
    std::unique_ptr<eventstore::subscription>
    subscribe_all(std::optional<base::position> after, eventstore::all_filter filter) override {
        return inner_.subscribe_all(after, std::move(filter));
    }
    std::unique_ptr<eventstore::subscription>
    subscribe_stream(std::string stream, std::optional<base::revision> after) override {
        return inner_.subscribe_stream(std::move(stream), after);
    }
    std::optional<base::position> head() const override { return inner_.head(); }
    base::log_identity identity() const override { return inner_.identity(); }
    eventstore::write_state state() const override { return inner_.state(); }

private:
    bool fails() {
        const std::size_t now = ++count_;
        return fails_at_ != 0 && now >= fails_at_ && now < fails_at_ + times_;
    }

    eventstore::event_store& inner_;
    std::atomic<bool> stalls_ = false;
    std::atomic<std::size_t> count_ = 0;
    std::size_t fails_at_ = 0;
    std::size_t times_ = 1;
    base::errc code_ = base::errc::unavailable;
};

} // namespace immortal::esdb
