#include "eventstore/embedded_store.hpp"

#include "eventlog/log.hpp"
#include "eventstore/catch_up.hpp"
#include "eventstore/embedded_reading.hpp"

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
        if (eventlog::view_of(stream)) {
            co_return read_view(log_, stream, from, way, count_max);
        }
        auto slice = log_.read_stream(stream, from, way, count_max);
        if (!slice) {
            co_return base::fail(std::move(slice.error()));
        }
        co_return stream_page{.events = std::move(slice->events),
                              .last = slice->last,
                              .end = slice->end,
                              .soft_deleted = slice->soft_deleted,
                              .next_readable = slice->next_readable};
    }

    awaitable<base::result<std::optional<revision>>> stream_head(std::string stream) override {
        co_return head_of(stream);
    }

    awaitable<base::result<stream_info>> info(std::string stream) override {
        if (!eventlog::view_of(stream)) {
            co_return log_.info(stream);
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
        co_return follow_links(std::move(events), source);
    }

    awaitable<base::result<all_page>> read_all(position from, direction way, std::size_t count_max,
                                               all_filter filter) override {
        auto compiled = event_filter::compile(filter);
        if (!compiled) {
            co_return base::fail(std::move(compiled.error()));
        }
        const auto wanted = record_filter_of(std::move(*compiled));
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
        return make_catch_up(make_all_source(log_, after, filter), published_);
    }

    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<revision> after) override {
        return make_catch_up(make_stream_source(log_, std::move(stream), after), published_);
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
    runtime::async_event published_;
    std::uint64_t ticket_;
};

} // namespace

std::unique_ptr<event_store> make_embedded_store(eventlog::log& log) {
    return std::make_unique<embedded_store>(log);
}

} // namespace immortal::eventstore
