// An event store that fails as told, around a real one. For tests.
#pragma once

#include "eventstore/event_store.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace immortal::commands {

using boost::asio::awaitable;

enum class fault {
    none,
    unknown_not_written,
    unknown_but_written,
    unavailable,
    conflict, // though nobody was there
};

// `plan` says, for the n-th append of domain events (from 0; snapshots do not count), what happens
// to it. Thread-safe.
class fault_store final : public eventstore::event_store {
public:
    explicit fault_store(eventstore::event_store& inner) : inner_(inner) {}

    void plan(std::function<fault(std::size_t)> what) {
        const std::lock_guard lock(mutex_);
        plan_ = std::move(what);
        count_ = 0;
    }
    // Only this append fails.
    void fail_once(fault what, std::size_t at = 0) {
        plan([=](std::size_t n) { return n == at ? what : fault::none; });
    }
    std::atomic<bool> reads_fail = false;
    std::atomic<std::size_t> reads = 0;
    std::atomic<std::size_t> heads = 0;
    mutable std::atomic<std::size_t> log_heads = 0; // calls of head()
    // Of the last append of domain events.
    [[nodiscard]] std::chrono::milliseconds last_limit() const {
        const std::lock_guard lock(mutex_);
        return last_limit_;
    }
    [[nodiscard]] std::size_t appends() const {
        const std::lock_guard lock(mutex_);
        return count_;
    }

    awaitable<base::result<eventstore::append_outcome>>
    append(std::vector<eventstore::stream_write> writes,
           eventstore::append_terms terms = {}) override {
        const bool domain = !writes.front().stream.starts_with("snapshot_");
        if (domain) {
            const std::lock_guard lock(mutex_);
            last_limit_ = terms.limit;
        }
        switch (domain ? next() : fault::none) {
        case fault::unknown_not_written:
            co_return base::fail(base::errc::unknown_outcome, "lost before");
        case fault::unknown_but_written: {
            const auto done = co_await inner_.append(std::move(writes), std::move(terms));
            if (!done) {
                co_return base::fail(done.error());
            }
            co_return base::fail(base::errc::unknown_outcome, "lost after");
        }
        case fault::unavailable:
            co_return std::unexpected(
                base::error{base::errc::unavailable, "away", "index_damaged", {}, 2'500});
        case fault::conflict:
            co_return base::fail(base::errc::conflict, "not there");
        case fault::none:
            break;
        }
        co_return co_await inner_.append(std::move(writes), std::move(terms));
    }
    awaitable<base::result<eventstore::stream_page>> read_stream(std::string stream,
                                                                 base::revision from,
                                                                 eventstore::direction way,
                                                                 std::size_t count_max) override {
        ++reads;
        if (reads_fail) {
            co_return base::fail(base::errc::unavailable, "away");
        }
        co_return co_await inner_.read_stream(std::move(stream), from, way, count_max);
    }
    awaitable<base::result<std::optional<base::revision>>>
    stream_head(std::string stream) override {
        ++heads;
        if (reads_fail) {
            co_return base::fail(base::errc::unavailable, "away");
        }
        co_return co_await inner_.stream_head(std::move(stream));
    }
    awaitable<base::result<eventstore::stream_info>> info(std::string stream) override {
        return inner_.info(std::move(stream));
    }
    awaitable<base::result<std::vector<eventstore::resolved_event>>>
    resolve_links(std::vector<eventstore::recorded_event> events) override {
        return inner_.resolve_links(std::move(events));
    }
    awaitable<base::result<eventstore::all_page>> read_all(base::position from,
                                                           eventstore::direction way,
                                                           std::size_t count_max,
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
    std::optional<base::position> head() const override {
        ++log_heads;
        return inner_.head();
    }
    base::log_identity identity() const override { return inner_.identity(); }
    eventstore::write_state state() const override { return inner_.state(); }

private:
    fault next() {
        std::function<fault(std::size_t)> plan;
        std::size_t n = 0;
        {
            const std::lock_guard lock(mutex_);
            plan = plan_;
            n = count_++;
        }
        return plan ? plan(n) : fault::none;
    }

    eventstore::event_store& inner_;
    mutable std::mutex mutex_;
    std::function<fault(std::size_t)> plan_;
    std::size_t count_ = 0;
    std::chrono::milliseconds last_limit_{0};
};

} // namespace immortal::commands
