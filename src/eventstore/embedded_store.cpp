#include "eventstore/embedded_store.hpp"

#include "base/metrics.hpp"
#include "eventlog/log.hpp"
#include "eventstore/catch_up.hpp"
#include "eventstore/embedded_reading.hpp"
#include "eventstore/publication_hub.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

namespace immortal::eventstore {
namespace {

namespace asio = boost::asio;
using base::position;
using base::revision;

using outcome = base::result<append_outcome>;

// Resumes the waiting coroutine on its own executor.
template <typename Handler>
class resumption {
public:
    explicit resumption(Handler handler)
        : work_(asio::make_work_guard(asio::get_associated_executor(handler))),
          handler_(std::move(handler)) {}

    void operator()(outcome result) {
        auto executor = work_.get_executor();
        asio::post(executor, [handler = std::move(handler_), work = std::move(work_),
                              result = std::move(result)]() mutable {
            std::move(handler)(std::move(result));
        });
    }

private:
    asio::executor_work_guard<asio::associated_executor_t<Handler>> work_;
    Handler handler_;
};

struct start_append {
    eventlog::log* log;

    template <typename Handler>
    void operator()(Handler&& handler, std::vector<stream_write> writes, append_terms terms) const {
        using resume = resumption<std::decay_t<Handler>>;
        // The callback's type must be copyable, the handler is not.
        auto waiting = std::make_shared<resume>(std::forward<Handler>(handler));
        log->append(
            std::move(writes),
            [waiting = std::move(waiting)](outcome result) { (*waiting)(std::move(result)); },
            std::move(terms));
    }
};

// Lets others have the thread.
auto others() {
    return asio::post(asio::use_awaitable);
}

// How long reads hold their threads. Thread-safe.
class hold_meter {
public:
    explicit hold_meter(base::metrics* metrics) {
        if (metrics != nullptr) {
            longest_.emplace(metrics->make_gauge(
                "immortal_eventstore_read_hold_max_seconds",
                "The longest that a read of the event log kept its thread since the start"));
        }
    }

    // What `read` gives, timed.
    template <typename Read>
    auto operator()(Read&& read) {
        const auto begun = std::chrono::steady_clock::now();
        auto result = read();
        note(std::chrono::steady_clock::now() - begun);
        return result;
    }

private:
    void note(std::chrono::steady_clock::duration held) {
        if (held.count() <= max_.load(std::memory_order_relaxed)) {
            return;
        }
        const std::lock_guard lock(mutex_);
        if (held.count() > max_.load()) {
            max_.store(held.count());
            if (longest_) {
                longest_->set(std::chrono::duration<double>(held).count());
            }
        }
    }

    std::optional<base::gauge> longest_;
    std::mutex mutex_;
    std::atomic<std::chrono::steady_clock::rep> max_{0};
};

// A source whose pulls are timed.
class timed_source final : public catch_up_source {
public:
    timed_source(std::unique_ptr<catch_up_source> inner, hold_meter& hold)
        : inner_(std::move(inner)), hold_(hold) {}

    base::result<slice> pull(std::size_t count_max, std::size_t considered_max) override {
        return hold_([&] { return inner_->pull(count_max, considered_max); });
    }
    std::optional<position> place() const override { return inner_->place(); }
    position pass_over(position next, position last_event) override {
        return inner_->pass_over(next, last_event);
    }

private:
    std::unique_ptr<catch_up_source> inner_;
    hold_meter& hold_;
};

class embedded_store final : public event_store {
public:
    embedded_store(eventlog::log& log, base::metrics* metrics)
        : log_(log), hold_(metrics), hub_(metrics),
          ticket_(log.add_listener([this](const eventlog::publication& what) {
              hub_.publish(what.head.end, what.entries);
          })) {
        hub_.begin(log.head().end);
    }
    ~embedded_store() override { log_.remove_listener(ticket_); }

    awaitable<outcome> append(std::vector<stream_write> writes, append_terms terms) override {
        co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(outcome)>(
            start_append{&log_}, asio::use_awaitable, std::move(writes), std::move(terms));
    }

    awaitable<base::result<stream_page>>
    read_stream(std::string stream, revision from, direction way, std::size_t count_max) override {
        page_reading reading(log_, std::move(stream), from, way, count_max);
        for (;;) {
            const auto complete = hold_([&] { return reading.step(); });
            if (!complete) {
                co_return base::fail(complete.error());
            }
            if (*complete) {
                co_return reading.take();
            }
            co_await others();
        }
    }

    awaitable<base::result<std::optional<revision>>> stream_head(std::string stream) override {
        co_return head_of(stream);
    }

    awaitable<base::result<stream_info>> info(std::string stream) override {
        if (!eventlog::view_of(stream)) {
            co_return hold_([&] { return log_.info(stream); });
        }
        auto last = head_of(stream);
        if (!last) {
            co_return base::fail(std::move(last.error()));
        }
        co_return stream_info{.last = *last};
    }

    awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) override {
        log_links source(log_);
        link_follower follower(std::move(events), source);
        while (!follower.finished()) {
            const auto done = hold_([&] { return follower.step(); });
            if (!done) {
                co_return base::fail(done.error());
            }
            if (!follower.finished()) {
                co_await others();
            }
        }
        co_return follower.take();
    }

    awaitable<base::result<all_page>> read_all(position from, direction way, std::size_t count_max,
                                               all_filter filter) override {
        const auto compiled = filters_.get(filter);
        if (!compiled) {
            co_return base::fail(compiled.error());
        }
        const auto wanted = record_filter_of(*compiled);
        all_page page;
        page.next = from;
        auto where = eventlog::read_start::anywhere;
        for (std::size_t bytes = 0;;) {
            auto slice = hold_([&] {
                return log_.read_all(page.next, way, count_max - page.events.size(), wanted,
                                     slice_bounds.bytes, where, slice_bounds.records);
            });
            if (!slice) {
                co_return base::fail(std::move(slice.error()));
            }
            where = eventlog::read_start::boundary;
            for (recorded_event& event : slice->events) {
                bytes += bytes_of(event);
                page.events.push_back(std::move(event));
            }
            page.next = slice->next;
            page.end = slice->end;
            if (page.end || page.events.size() >= count_max || bytes >= page_bytes) {
                co_return page;
            }
            co_await others();
        }
    }

    std::unique_ptr<subscription> subscribe_all(std::optional<position> after,
                                                all_filter filter) override {
        auto compiled = filters_.get(filter);
        if (!compiled) {
            return make_refused(std::move(compiled.error()));
        }
        auto watch = hub_.board().watch_all(*compiled);
        return make_catch_up(timed(make_all_source(log_, after, *compiled)), std::move(watch));
    }

    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<revision> after) override {
        auto watch = hub_.board().watch_stream(stream);
        return make_catch_up(timed(make_stream_source(log_, std::move(stream), after)),
                             std::move(watch));
    }

    std::optional<position> head() const override { return log_.head().last_event; }
    base::log_identity identity() const override { return log_.identity(); }

    write_state state() const override {
        switch (log_.state()) {
        case eventlog::log_state::writable:
            return write_state::writable;
        case eventlog::log_state::disk_full:
            return write_state::disk_full;
        case eventlog::log_state::failed:
            return write_state::sync_failed;
        case eventlog::log_state::closed:
            break;
        }
        return write_state::stopping;
    }

private:
    std::unique_ptr<catch_up_source> timed(std::unique_ptr<catch_up_source> source) {
        return std::make_unique<timed_source>(std::move(source), hold_);
    }

    base::result<std::optional<revision>> head_of(const std::string& stream) {
        const auto view = eventlog::view_of(stream);
        if (!view) {
            return log_.stream_head(stream);
        }
        const auto size = log_.view_size(view->view, view->name);
        if (!size) {
            return base::fail(size.error());
        }
        return *size == 0 ? std::nullopt : std::optional(revision{*size - 1});
    }

    eventlog::log& log_;
    hold_meter hold_;
    filter_cache filters_;
    publication_hub hub_;
    std::uint64_t ticket_;
};

} // namespace

std::unique_ptr<event_store> make_embedded_store(eventlog::log& log, base::metrics* metrics) {
    return std::make_unique<embedded_store>(log, metrics);
}

} // namespace immortal::eventstore
