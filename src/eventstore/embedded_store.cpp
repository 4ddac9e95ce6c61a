#include "eventstore/embedded_store.hpp"

#include "eventlog/log.hpp"
#include "eventstore/catch_up.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace immortal::eventstore {
namespace {

namespace asio = boost::asio;
using base::position;
using base::revision;

using outcome = base::result<append_outcome>;

// How much of the log one step of a subscription looks through.
constexpr std::uint64_t scan_bytes = 1u << 20u;

eventlog::record_filter record_filter_of(const all_filter& filter) {
    if (filter.stream_prefixes.empty() && !filter.user_events_only) {
        return {};
    }
    return [filter](const eventlog::record_view& record) {
        return matches(filter, record.stream, record.type);
    };
}

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
    void operator()(Handler&& handler, std::vector<stream_write> writes) const {
        using resume = resumption<std::decay_t<Handler>>;
        // The callback's type must be copyable, the handler is not.
        auto waiting = std::make_shared<resume>(std::forward<Handler>(handler));
        log->append(std::move(writes), [waiting = std::move(waiting)](outcome result) {
            (*waiting)(std::move(result));
        });
    }
};

class all_source final : public catch_up_source {
public:
    all_source(eventlog::log& log, std::optional<position> after, const all_filter& filter)
        : log_(log), filter_(record_filter_of(filter)), from_{after ? after->value + 1 : 0},
          processed_(after.value_or(position{})) {}

    base::result<subscription::batch> pull(std::size_t count_max) override {
        auto slice =
            log_.read_all(from_, direction::forwards, count_max, filter_, scan_bytes, where_);
        if (!slice) {
            return base::fail(std::move(slice.error()));
        }
        where_ = eventlog::read_start::boundary;
        subscription::batch out;
        // Whole batches only, unless the first one alone fills the page.
        const bool cut =
            !slice->events.empty() && slice->whole > 0 && slice->whole < slice->events.size();
        if (cut) {
            slice->events.resize(slice->whole);
        }
        from_ = cut ? slice->whole_next : slice->next;
        const auto seen = cut ? slice->whole_last_seen : slice->last_seen;
        processed_ = seen.value_or(processed_);
        out.events = std::move(slice->events);
        out.processed = processed_;
        out.caught_up = !cut && slice->end;
        return out;
    }

private:
    eventlog::log& log_;
    eventlog::record_filter filter_;
    position from_;
    eventlog::read_start where_ = eventlog::read_start::anywhere;
    position processed_;
};

class stream_source final : public catch_up_source {
public:
    stream_source(eventlog::log& log, std::string stream, std::optional<revision> after)
        : log_(log), stream_(std::move(stream)), from_{after ? after->value + 1 : 0} {}

    base::result<subscription::batch> pull(std::size_t count_max) override {
        auto slice = log_.read_stream(stream_, from_, direction::forwards, count_max);
        if (!slice) {
            return base::fail(std::move(slice.error()));
        }
        const bool cut = slice->whole > 0 && slice->whole < slice->events.size();
        if (cut) {
            slice->events.resize(slice->whole);
        }
        if (!slice->events.empty()) {
            from_ = {slice->events.back().revision.value + 1};
            processed_ = slice->events.back().position;
        }
        return subscription::batch{.events = std::move(slice->events),
                                   .processed = processed_,
                                   .caught_up = !cut && slice->end};
    }

private:
    eventlog::log& log_;
    std::string stream_;
    revision from_;
    position processed_;
};

class embedded_store final : public event_store {
public:
    explicit embedded_store(eventlog::log& log)
        : log_(log), ticket_(log.add_listener(
                         [this](const eventlog::log_head&) { published_.notify_all(); })) {}
    ~embedded_store() override { log_.remove_listener(ticket_); }

    awaitable<outcome> append(std::vector<stream_write> writes) override {
        co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(outcome)>(
            start_append{&log_}, asio::use_awaitable, std::move(writes));
    }

    awaitable<base::result<stream_page>>
    read_stream(std::string stream, revision from, direction way, std::size_t count_max) override {
        auto slice = log_.read_stream(stream, from, way, count_max);
        if (!slice) {
            co_return base::fail(std::move(slice.error()));
        }
        co_return stream_page{
            .events = std::move(slice->events), .last = slice->last, .end = slice->end};
    }

    awaitable<base::result<std::optional<revision>>> stream_head(std::string stream) override {
        co_return log_.stream_head(stream);
    }

    awaitable<base::result<stream_info>> info(std::string stream) override {
        auto last = co_await stream_head(std::move(stream));
        if (!last) {
            co_return base::fail(std::move(last.error()));
        }
        co_return stream_info{.last = *last};
    }

    awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) override {
        std::vector<resolved_event> out;
        for (recorded_event& event : events) {
            out.push_back({.event = std::move(event), .link = {}});
        }
        co_return out;
    }

    awaitable<base::result<all_page>> read_all(position from, direction way, std::size_t count_max,
                                               all_filter filter) override {
        const auto wanted = record_filter_of(filter);
        all_page page;
        page.next = from;
        // A page is full or at the end; between looks through long stretches others get the thread.
        for (bool first = true;; first = false) {
            if (!first) {
                co_await asio::post(asio::use_awaitable);
            }
            auto slice = log_.read_all(page.next, way, count_max - page.events.size(), wanted);
            if (!slice) {
                co_return base::fail(std::move(slice.error()));
            }
            std::ranges::move(slice->events, std::back_inserter(page.events));
            page.next = slice->next;
            page.end = slice->end;
            if (page.end || page.events.size() >= count_max) {
                co_return page;
            }
        }
    }

    std::unique_ptr<subscription> subscribe_all(std::optional<position> after,
                                                all_filter filter) override {
        return make_catch_up(std::make_unique<all_source>(log_, after, filter), published_);
    }

    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<revision> after) override {
        return make_catch_up(std::make_unique<stream_source>(log_, std::move(stream), after),
                             published_);
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
    eventlog::log& log_;
    runtime::async_event published_;
    std::uint64_t ticket_;
};

} // namespace

std::unique_ptr<event_store> make_embedded_store(eventlog::log& log) {
    return std::make_unique<embedded_store>(log);
}

} // namespace immortal::eventstore
