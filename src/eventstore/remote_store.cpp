#include "eventstore/remote_store.hpp"

#include "base/log.hpp"
#include "esproto/wire/server_features.grpc.pb.h"
#include "eventstore/links.hpp"
#include "eventstore/remote_append.hpp"
#include "eventstore/remote_batch.hpp"
#include "eventstore/remote_link.hpp"
#include "eventstore/remote_read.hpp"
#include "eventstore/remote_subscription.hpp"
#include "runtime/blocking_pool.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <limits>
#include <thread>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;
namespace features = ::event_store::client::server_features;

constexpr const char* identity_stream = "immortal-identity";
constexpr std::size_t waiting_calls_max = 4096;
constexpr base::revision newest{std::numeric_limits<std::uint64_t>::max()};

// Follows links by reads of the store.
class remote_links final : public link_source {
public:
    explicit remote_links(remote_link& link) : link_(link) {}

    base::result<found> read(std::string_view stream, base::revision from,
                             std::size_t count_max) override {
        auto page =
            read_stream_remotely(link_, std::string(stream), from, direction::forwards, count_max);
        if (!page) {
            return fail(std::move(page.error()));
        }
        return found{std::move(page->events), {from.value + count_max}};
    }
    base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) override {
        std::vector<bool> out;
        for (const recorded_event* event : events) {
            const auto shown = read(event->stream, event->revision, 1);
            if (!shown && shown.error().code != errc::deleted) {
                return fail(shown.error());
            }
            out.push_back(shown && !shown->events.empty() &&
                          shown->events.front().revision == event->revision);
        }
        return out;
    }

private:
    remote_link& link_;
};

class remote_store final : public event_store {
public:
    remote_store(std::unique_ptr<remote_link> link, base::log_identity identity,
                 std::optional<base::position> head)
        : link_(std::move(link)), identity_(identity), head_(head),
          calls_({.threads = link_->settings().calls_at_once, .queue_max = waiting_calls_max}),
          watcher_([this] { watch(); }) {}

    ~remote_store() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        watcher_.join();
        calls_.stop();
    }

    // The link's own limit counts (`operation_timeout`); the charge is held until the answer.
    awaitable<base::result<append_outcome>> append(std::vector<stream_write> writes,
                                                   [[maybe_unused]] append_terms terms) override {
        const auto before = head();
        bool writing = false;
        for (const stream_write& write : writes) {
            writing = writing || !write.events.empty() ||
                      (write.what != stream_write::action::append &&
                       write.what != stream_write::action::check);
        }
        auto done = co_await calls_.run(
            [this, &writes] { return append_remotely(*link_, batch_, writes); });
        if (done && writing) {
            // What stands where the log was known to go already has been written before.
            done->repeated = before && done->position <= *before;
            advance(done->position);
        }
        co_return done;
    }

    awaitable<base::result<stream_page>> read_stream(std::string stream, base::revision from,
                                                     direction way,
                                                     std::size_t count_max) override {
        co_return co_await calls_.run(
            [&, this] { return read_stream_remotely(*link_, stream, from, way, count_max); });
    }

    awaitable<base::result<std::optional<base::revision>>>
    stream_head(std::string stream) override {
        auto page = co_await calls_.run([&, this] {
            return read_stream_remotely(*link_, stream, newest, direction::backwards, 1);
        });
        if (!page && page.error().code == errc::deleted) {
            co_return eventlog::tombstone_revision;
        }
        if (!page) {
            co_return fail(std::move(page.error()));
        }
        co_return page->last
            ? page->last
            : (page->events.empty() ? std::nullopt : std::optional(page->events.front().revision));
    }

    awaitable<base::result<stream_info>> info(std::string stream) override {
        co_return co_await calls_.run([&, this] { return info_remotely(*link_, stream); });
    }

    awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) override {
        co_return co_await calls_.run([&, this] {
            remote_links source(*link_);
            return follow_links(std::move(events), source);
        });
    }

    awaitable<base::result<all_page>> read_all(base::position from, direction way,
                                               std::size_t count_max, all_filter filter) override {
        co_return co_await calls_.run(
            [&, this] { return read_all_remotely(*link_, from, way, count_max, filter); });
    }

    std::unique_ptr<subscription> subscribe_all(std::optional<base::position> after,
                                                all_filter filter) override {
        return make_remote_subscription(
            *link_,
            {.stream = {}, .after_number = {}, .after = after, .filter = std::move(filter)});
    }

    std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                   std::optional<base::revision> after) override {
        return make_remote_subscription(
            *link_,
            {.stream = std::move(stream), .after_number = after, .after = {}, .filter = {}});
    }

    std::optional<base::position> head() const override {
        const std::lock_guard lock(mutex_);
        return head_;
    }
    base::log_identity identity() const override { return identity_; }
    write_state state() const override {
        return reachable_.load() ? write_state::writable : write_state::unreachable;
    }

private:
    void advance(base::position to) {
        const std::lock_guard lock(mutex_);
        head_ = std::max(head_.value_or(to), to);
    }

    // Looks at the head now and then, and so notices when the store is away and when it is back.
    void watch() {
        std::unique_lock lock(mutex_);
        while (
            !wake_.wait_for(lock, link_->settings().check_period, [this] { return stopping_; })) {
            lock.unlock();
            const auto now = head_remotely(*link_);
            if (now.has_value() != reachable_.exchange(now.has_value())) {
                if (now) {
                    base::log_info("eventstore", "the event store answers again");
                } else {
                    base::log_error("eventstore", "the event store does not answer",
                                    {{"where", link_->where()}, {"cause", now.error().message}});
                }
            }
            if (now && *now) {
                advance(**now);
            }
            lock.lock();
        }
    }

    std::unique_ptr<remote_link> link_;
    remote_batch batch_{*link_};
    const base::log_identity identity_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::optional<base::position> head_;
    bool stopping_ = false;
    std::atomic<bool> reachable_ = true;
    runtime::blocking_pool calls_;
    std::thread watcher_;
};

// Errors: mismatch (the atomic append is missing), and those of the call.
base::status check_features(remote_link& link) {
    const auto channel = link.channel();
    if (!channel) {
        return fail(channel.error());
    }
    grpc::ClientContext context;
    link.prepare(context, call_kind::read);
    const auto stub = features::ServerFeatures::NewStub(*channel);
    features::SupportedMethods methods;
    const auto status =
        stub->GetSupportedMethods(&context, ::event_store::client::Empty{}, &methods);
    if (!status.ok()) {
        return fail(link.failure(status, context, call_kind::read, {}));
    }
    for (const auto& method : methods.methods()) {
        if (method.service_name() == "kurrentdb.protocol.v2.streams.streamsservice" &&
            method.method_name() == "appendsession") {
            return {};
        }
    }
    return fail(
        errc::mismatch,
        fmt::format("The event store at {} (version {}) cannot append to several streams at "
                    "once (AppendSession), which every command needs: use KurrentDB 25.1 "
                    "or newer, or `immortal store serve`.",
                    link.where(), methods.event_store_server_version()),
        "append_session_missing");
}

base::result<std::optional<base::uuid>> read_identity(remote_link& link) {
    auto page = read_stream_remotely(link, identity_stream, {0}, direction::forwards, 1);
    if (!page) {
        return fail(std::move(page.error()));
    }
    if (page->events.empty()) {
        return std::optional<base::uuid>();
    }
    boost::system::error_code problem;
    const auto data = boost::json::parse(page->events.front().data, problem);
    const auto* object = problem ? nullptr : data.if_object();
    const auto* text = object == nullptr ? nullptr : object->if_contains("id");
    const auto id =
        text != nullptr && text->is_string() ? base::uuid::parse(text->get_string()) : std::nullopt;
    if (!id) {
        return fail(errc::corrupt, fmt::format("the first event of the stream {} does not say who "
                                               "this event store is",
                                               identity_stream));
    }
    return id;
}

// The one that wrote it first decides.
base::result<base::uuid> identity_of(remote_link& link, base::random_source& random) {
    remote_batch batch(link);
    for (int attempt = 0; attempt < 3; ++attempt) {
        auto known = read_identity(link);
        if (!known) {
            return fail(std::move(known.error()));
        }
        if (*known) {
            return **known;
        }
        const auto id = base::uuid::make_random(random);
        std::vector<stream_write> writes(1);
        writes[0].stream = identity_stream;
        writes[0].expected = expected_revision::no_stream();
        writes[0].events.push_back(
            {.id = id,
             .type = "$storeIdentified",
             .data = boost::json::serialize(boost::json::object{{"id", id.text()}}),
             .metadata = {}});
        auto written = append_remotely(link, batch, writes);
        if (!written && written.error().code != errc::conflict &&
            written.error().code != errc::unknown_outcome) {
            return fail(std::move(written.error()));
        }
    }
    return fail(errc::unavailable, "the event store could not be given an identity");
}

} // namespace

base::result<std::unique_ptr<event_store>> open_remote_store(remote_settings settings,
                                                             base::random_source& random) {
    const unsigned attempts = settings.start_attempts;
    const std::uint32_t epoch = settings.epoch;
    auto link = remote_link::make(std::move(settings), random);
    if (!link) {
        return fail(std::move(link.error()));
    }
    base::status checked;
    for (unsigned attempt = 0; attempt < attempts; ++attempt) {
        if (attempt > 0) {
            (*link)->pause();
        }
        checked = check_features(**link);
        if (checked || checked.error().code != errc::unavailable) {
            break;
        }
    }
    if (!checked) {
        return fail(std::move(checked.error()));
    }
    auto id = identity_of(**link, random);
    if (!id) {
        return fail(std::move(id.error()));
    }
    auto head = head_remotely(**link);
    if (!head) {
        return fail(std::move(head.error()));
    }
    return std::make_unique<remote_store>(std::move(*link), base::log_identity{*id, epoch}, *head);
}

} // namespace immortal::eventstore
