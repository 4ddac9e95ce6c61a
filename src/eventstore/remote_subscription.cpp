#include "eventstore/remote_subscription.hpp"

#include "base/log.hpp"
#include "esproto/wire/streams.grpc.pb.h"
#include "eventstore/batch_collector.hpp"
#include "eventstore/event_filter.hpp"
#include "eventstore/remote_link.hpp"
#include "eventstore/remote_messages.hpp"
#include "runtime/async_event.hpp"

#include <condition_variable>
#include <deque>
#include <thread>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;
namespace wire = ::event_store::client::streams;

constexpr std::size_t queued_events_max = 8192;
constexpr std::size_t queued_bytes_max = 32u << 20;
constexpr std::chrono::milliseconds wait_max{5000};
constexpr std::chrono::milliseconds incomplete_max{50}; // an append of which a part is hidden
constexpr std::chrono::milliseconds pause_max{5000};    // between attempts to connect again

bool lasting(const base::error& error) {
    switch (error.code) {
    case errc::deleted:
    case errc::invalid_argument:
    case errc::forbidden:
    case errc::unauthenticated:
    case errc::mismatch:
    case errc::corrupt:
        return true;
    default:
        return false;
    }
}

class remote_subscription final : public subscription {
public:
    remote_subscription(remote_link& link, subscription_start start)
        : link_(link), start_(std::move(start)), number_(start_.after_number),
          position_(start_.after), processed_(start_.after.value_or(base::position{})) {
        thread_ = std::thread([this] { run(); });
    }
    ~remote_subscription() override {
        cancel();
        thread_.join();
    }

    awaitable<base::result<batch>> next(std::size_t count_max,
                                        std::size_t /*considered_max*/) override {
        for (;;) {
            const std::uint64_t seen = changed_.version();
            bool incomplete = false;
            {
                const std::lock_guard lock(mutex_);
                if (cancelled_) {
                    co_return fail(errc::cancelled, "the subscription was cancelled");
                }
                give_up_waiting();
                // While it catches up more is on its way: full batches then.
                const bool enough = live_ || problem_ || queue_.size() > count_max ||
                                    queue_.size() >= queued_events_max ||
                                    bytes_ >= queued_bytes_max;
                if ((!queue_.empty() && enough) || caught_up_) {
                    co_return take(std::max<std::size_t>(count_max, 1));
                }
                if (problem_) {
                    co_return fail(*problem_);
                }
                incomplete = collector_.waiting();
            }
            co_await changed_.wait(seen, incomplete ? incomplete_max : wait_max);
        }
    }

    void cancel() override {
        {
            const std::lock_guard lock(mutex_);
            cancelled_ = true;
            if (context_ != nullptr) {
                context_->TryCancel();
            }
        }
        room_.notify_all();
        changed_.notify_all();
    }

private:
    static std::size_t size_of(const recorded_event& event) {
        return event.data.size() + event.metadata.size() + event.stream.size() + sizeof(event);
    }

    // --- under the lock ---
    void give_up_waiting() {
        if (collector_.waiting() &&
            std::chrono::steady_clock::now() - incomplete_since_ > incomplete_max) {
            enqueue(collector_.flush());
        }
    }
    void enqueue(std::vector<recorded_event> events) {
        for (recorded_event& event : events) {
            bytes_ += size_of(event);
            queue_.push_back(std::move(event));
        }
    }
    // Whole appends, as many as fit; a part of the first if it does not fit alone.
    batch take(std::size_t count_max) {
        batch out;
        const std::size_t fitting = std::min(count_max, queue_.size());
        std::size_t count = 0;
        for (std::size_t i = 0; i < fitting; ++i) {
            count = queue_[i].last_in_batch ? i + 1 : count;
        }
        for (count = count == 0 ? fitting : count; count > 0; --count) {
            bytes_ -= size_of(queue_.front());
            out.events.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
        if (!out.events.empty()) {
            processed_ = std::max(processed_, out.events.back().position);
        }
        if (queue_.empty() && !collector_.waiting()) {
            out.caught_up = std::exchange(caught_up_, false) || live_;
            processed_ = std::max(processed_, seen_);
        }
        out.processed = processed_;
        out.considered = out.events.size();
        room_.notify_all();
        return out;
    }

    // --- the thread ---
    void run() {
        std::chrono::milliseconds pause = link_.settings().reconnection_delay;
        while (!is_cancelled()) {
            const std::uint64_t before = received_;
            const base::error why = read_once();
            if (is_cancelled()) {
                return;
            }
            if (lasting(why)) {
                const std::lock_guard lock(mutex_);
                enqueue(collector_.flush());
                problem_ = why;
                changed_.notify_all();
                return;
            }
            pause = received_ > before ? link_.settings().reconnection_delay
                                       : std::min(pause * 2, pause_max);
            base::log_warning("eventstore", "a subscription lost the event store; connecting again",
                              {{"cause", why.message}});
            std::unique_lock lock(mutex_);
            live_ = false;
            room_.wait_for(lock, pause, [this] { return cancelled_; });
        }
    }

    bool is_cancelled() {
        const std::lock_guard lock(mutex_);
        return cancelled_;
    }

    // Reads until the connection is lost or the subscription cancelled.
    base::error read_once() {
        auto compiled = event_filter::compile(start_.filter);
        if (!compiled) {
            return compiled.error();
        }
        const auto channel = link_.channel();
        if (!channel) {
            return channel.error();
        }
        grpc::ClientContext context;
        link_.prepare(context, call_kind::lasting_read);
        {
            const std::lock_guard lock(mutex_);
            if (cancelled_) {
                return {errc::cancelled, "the subscription was cancelled"};
            }
            context_ = &context;
        }
        const auto stub = wire::Streams::NewStub(*channel);
        const auto reader = stub->Read(&context, request());
        wire::ReadResp response;
        std::optional<base::error> broken;
        while (!broken && reader->Read(&response)) {
            broken = take_message(response, *compiled);
        }
        if (broken) {
            context.TryCancel();
        }
        const auto status = reader->Finish();
        {
            const std::lock_guard lock(mutex_);
            context_ = nullptr;
        }
        return broken ? *broken
                      : link_.failure(status, context, call_kind::lasting_read,
                                      start_.stream.value_or(""));
    }

    wire::ReadReq request() const {
        wire::ReadReq out = remote::read_request(direction::forwards);
        out.mutable_options()->mutable_subscription();
        if (start_.stream) {
            remote::set_stream(out, *start_.stream);
            auto& options = *out.mutable_options()->mutable_stream();
            if (number_) {
                options.set_revision(number_->value);
            } else {
                options.mutable_start();
            }
            return out;
        }
        remote::set_filter(out, start_.filter);
        auto& options = *out.mutable_options()->mutable_all();
        if (position_) {
            options.mutable_position()->set_commit_position(position_->value);
            options.mutable_position()->set_prepare_position(position_->value);
        } else {
            options.mutable_start();
        }
        return out;
    }

    std::optional<base::error> take_message(wire::ReadResp& response, const event_filter& filter) {
        ++received_;
        switch (response.content_case()) {
        case wire::ReadResp::kEvent: {
            auto event = remote::receive_event(std::move(*response.mutable_event()));
            if (!event) {
                return base::error{errc::corrupt,
                                   "the event store sent an event that cannot be read"};
            }
            take_event(std::move(*event), filter);
            return std::nullopt;
        }
        case wire::ReadResp::kCheckpoint:
            position_ = base::position{response.checkpoint().commit_position()};
            flush(false);
            return std::nullopt;
        case wire::ReadResp::kCaughtUp:
            flush(true);
            return std::nullopt;
        default:
            return std::nullopt;
        }
    }

    void take_event(remote::received_event got, const event_filter& filter) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] {
            return cancelled_ || (queue_.size() < queued_events_max && bytes_ < queued_bytes_max);
        });
        position_ = got.event.position;
        number_ = got.event.revision;
        if (start_.stream || filter.wants(got.event.stream, got.event.type)) {
            incomplete_since_ = std::chrono::steady_clock::now();
            enqueue(collector_.add(std::move(got.event), got.place));
        }
        lock.unlock();
        changed_.notify_all();
    }

    // Everything up to here has come.
    void flush(bool caught_up) {
        const std::lock_guard lock(mutex_);
        enqueue(collector_.flush());
        seen_ = position_.value_or(base::position{});
        if (caught_up) {
            live_ = true;
            caught_up_ = true;
        }
        changed_.notify_all();
    }

    remote_link& link_;
    const subscription_start start_;
    // The thread's own: where to go on.
    std::optional<base::revision> number_;
    std::optional<base::position> position_;
    std::uint64_t received_ = 0;

    std::mutex mutex_;
    std::condition_variable room_;
    runtime::async_event changed_;
    std::deque<recorded_event> queue_;
    std::size_t bytes_ = 0;
    batch_collector collector_;
    std::chrono::steady_clock::time_point incomplete_since_{};
    base::position seen_;      // everything before was looked at
    base::position processed_; // what the last batch told
    bool caught_up_ = false;   // to be told
    bool live_ = false;
    bool cancelled_ = false;
    std::optional<base::error> problem_;
    grpc::ClientContext* context_ = nullptr; // of the call in progress

    std::thread thread_;
};

} // namespace

std::unique_ptr<subscription> make_remote_subscription(remote_link& link,
                                                       subscription_start start) {
    return std::make_unique<remote_subscription>(link, std::move(start));
}

} // namespace immortal::eventstore
