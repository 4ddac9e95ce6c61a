#include "esdb/batch_session.hpp"

#include "base/log.hpp"
#include "esdb/append_outcomes.hpp"
#include "esdb/batch_answers.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/streams_service.hpp"
#include "esdb/typed_call.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

namespace immortal::esdb {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::hours wait_max{24}; // children end by their own deadlines, long before

// From now; never more than `longest`. Not positive: it has passed.
std::chrono::milliseconds
time_allowed(const ::event_store::client::streams::BatchAppendReq::Options& in, base::utc_time now,
             std::chrono::milliseconds longest) {
    using options = ::event_store::client::streams::BatchAppendReq::Options;
    // Seconds are bounded before they are multiplied: the numbers are the client's.
    const auto bounded = [longest](std::int64_t seconds, std::int64_t nanos) {
        const std::int64_t limit = longest.count() / 1000 + 1;
        const std::int64_t clamped = std::clamp<std::int64_t>(seconds, -limit, limit);
        const std::int64_t part = std::clamp<std::int64_t>(nanos, -999'999'999, 999'999'999);
        return std::min(longest, std::chrono::milliseconds(clamped * 1000 + part / 1'000'000));
    };
    if (in.deadline_option_case() == options::kDeadline) {
        return bounded(in.deadline().seconds(), in.deadline().nanos());
    }
    if (in.deadline_option_case() == options::kDeadline21100) {
        const auto micros = now.time_since_epoch().count();
        const auto& at = in.deadline_21_10_0();
        constexpr std::int64_t years = std::int64_t{1} << 40;
        return bounded(std::clamp(at.seconds(), -years, years) - micros / 1'000'000,
                       at.nanos() - micros % 1'000'000 * 1000);
    }
    return longest;
}

} // namespace

batch_session::batch_session(const service_context& context, call& asked)
    : context_(context), call_(asked) {}

void batch_session::spawn(awaitable<void> child) {
    ++children_;
    asio::co_spawn(call_.executor(), std::move(child),
                   [self = shared_from_this()](std::exception_ptr failed) {
                       if (failed) {
                           base::log_error("esdb", "a part of a batch append ended abruptly");
                       }
                       --self->children_;
                       self->changed_.notify_all();
                   });
}

awaitable<rpc_status> batch_session::run(std::shared_ptr<batch_session> self) {
    self->spawn(self->write_answers());
    rpc_status status;
    std::exception_ptr failed;
    try {
        status = co_await self->receive_all();
    } catch (...) {
        failed = std::current_exception();
    }
    // What was complete is written and answered, even when the call is cancelled.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    for (auto& [id, pending] : self->unfinished_) {
        pending->deadline.cancel();
    }
    self->unfinished_.clear();
    for (std::uint64_t seen = self->changed_.version(); self->appending_ > 0;
         seen = self->changed_.version()) {
        (void)co_await self->changed_.wait(seen, wait_max);
    }
    self->closed_ = true;
    self->changed_.notify_all();
    for (std::uint64_t seen = self->changed_.version(); self->children_ > 0;
         seen = self->changed_.version()) {
        (void)co_await self->changed_.wait(seen, wait_max);
    }
    if (failed) {
        std::rethrow_exception(failed);
    }
    co_return status;
}

awaitable<rpc_status> batch_session::receive_all() {
    for (;;) {
        for (std::uint64_t seen = changed_.version();
             appending_ + answers_.size() >= batches_max && !gone_; seen = changed_.version()) {
            (void)co_await changed_.wait(seen, wait_max);
        }
        auto chunk = co_await receive<request>(call_);
        if (!chunk) {
            co_return std::move(chunk.error());
        }
        if (!*chunk || gone_) {
            co_return rpc_status{};
        }
        co_await take(std::move(**chunk));
    }
}

awaitable<void> batch_session::take(request chunk) {
    const auto id = esproto::read_uuid(chunk.correlation_id());
    if (!id) {
        co_return; // nobody could tell what the answer is about
    }
    batch_pointer pending;
    if (const auto found = unfinished_.find(*id); found != unfinished_.end()) {
        pending = found->second; // further options do not begin another one: one id, one answer
    } else if (chunk.has_options()) {
        pending = co_await begin(chunk);
    }
    if (pending == nullptr) {
        co_return;
    }
    if (!add_events(*pending, chunk)) {
        pending->deadline.cancel();
        unfinished_.erase(*id);
        co_return;
    }
    if (chunk.is_final()) {
        pending->deadline.cancel();
        unfinished_.erase(*id);
        auto work = std::make_unique<accepted_work>(call_);
        ++appending_;
        spawn(append(std::move(pending), std::move(work)));
    }
}

awaitable<batch_session::batch_pointer> batch_session::begin(request& chunk) {
    const auto& options = chunk.options();
    auto made = std::make_shared<batch>(append_account(call_.make_charge(), context_.limits),
                                        call_.executor());
    made->id = *esproto::read_uuid(chunk.correlation_id());
    made->wire_id = chunk.correlation_id();
    made->write.stream = options.stream_identifier().stream_name();
    if (const auto fault = name_fault(made->write.stream)) {
        fail(*made, batch_answers::bad_request(*fault));
        co_return nullptr;
    }
    const auto expected = esproto::read_expected_position(options);
    if (!expected) {
        fail(*made, batch_answers::bad_request("The expected revision is missing."));
        co_return nullptr;
    }
    made->expected = *expected;
    made->write.expected = *to_expected(*expected);
    const auto allowed = time_allowed(options, context_.clock.now(), context_.write_limit);
    if (allowed <= std::chrono::milliseconds(0)) {
        fail(*made, batch_answers::timed_out());
        co_return nullptr;
    }
    if (unfinished_.size() >= batches_max) {
        fail(*made, batch_answers::busy("Server Is Busy"));
        co_return nullptr;
    }
    // Before a further chunk is read. What stands in this one is dropped at once.
    const auto may_write = co_await has_rights(context_.rules, call_.caller(),
                                               needs_of(made->write.stream, stream_right::write));
    if (!may_write) {
        chunk.clear_proposed_messages();
        fail(*made, batch_answers::failure(may_write.error(), made->write.stream,
                                           context_.limits.bytes()));
        co_return nullptr;
    }
    made->due = std::chrono::steady_clock::now() + allowed;
    unfinished_.insert_or_assign(made->id, made);
    if (!chunk.is_final()) {
        watch_deadline(made);
    }
    co_return made;
}

void batch_session::watch_deadline(const batch_pointer& pending) {
    pending->deadline.expires_at(pending->due);
    pending->deadline.async_wait([self = shared_from_this(), weak = std::weak_ptr(pending)](
                                     const boost::system::error_code& cancelled) {
        const auto late = weak.lock();
        if (cancelled || late == nullptr) {
            return;
        }
        const auto found = self->unfinished_.find(late->id);
        if (found != self->unfinished_.end() && found->second == late) {
            self->fail(*late, batch_answers::timed_out());
            self->unfinished_.erase(found);
        }
    });
}

bool batch_session::add_events(batch& into, request& chunk) {
    for (auto& proposed : *chunk.mutable_proposed_messages()) {
        auto event = to_new_event(proposed);
        if (!event) {
            fail(into, batch_answers::bad_request(
                           event.error() == proposal_fault::metadata_missing
                               ? "Required metadata keys: type, content-type."
                           : event.error() == proposal_fault::bad_id
                               ? "An event's identifier must be a UUID and not the empty one."
                               : "An event's type must not be empty."));
            return false;
        }
        switch (into.account.take(into.write.stream, *event)) {
        case append_account::outcome::taken:
            break;
        case append_account::outcome::event_too_large:
            fail(into, batch_answers::event_too_large(event->id, size_of(*event),
                                                      eventlog::event_size_max));
            return false;
        case append_account::outcome::append_too_large:
            fail(into,
                 batch_answers::append_too_large(into.account.bytes_max(), into.account.excess()));
            return false;
        case append_account::outcome::no_room:
            fail(into, batch_answers::busy("Server Is Busy"));
            return false;
        }
        into.write.events.push_back(std::move(*event));
    }
    return true;
}

void batch_session::fail(const batch& pending, ::google::rpc::Status status) {
    response message;
    *message.mutable_correlation_id() = pending.wire_id;
    message.mutable_stream_identifier()->set_stream_name(pending.write.stream);
    *message.mutable_error() = std::move(status);
    answer(std::move(message));
}

void batch_session::answer(response message) {
    if (!gone_) {
        answers_.push_back(std::move(message));
    }
    changed_.notify_all();
}

awaitable<void> batch_session::append(batch_pointer complete, std::unique_ptr<accepted_work> work) {
    response message;
    try {
        message = co_await outcome_of(*complete);
    } catch (const std::exception& e) {
        base::log_error("esdb", "an append ended with an exception", {{"what", e.what()}});
        *message.mutable_error() = batch_answers::internal("The append failed.");
    }
    *message.mutable_correlation_id() = complete->wire_id;
    message.mutable_stream_identifier()->set_stream_name(complete->write.stream);
    --appending_;
    answer(std::move(message));
    work.reset();
}

awaitable<batch_session::response> batch_session::outcome_of(batch& complete) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        complete.due - std::chrono::steady_clock::now());
    const bool any_event = !complete.write.events.empty();
    std::vector<eventstore::stream_write> writes;
    writes.push_back({complete.write.stream, complete.write.expected,
                      std::move(complete.write.events), complete.write.what});
    const auto unmet = std::make_shared<std::vector<eventstore::unmet_expectation>>();
    const auto outcome = co_await append_within(context_.store, std::move(writes), left,
                                                complete.account.charge(), unmet);
    response message;
    if (!outcome && outcome.error().code == base::errc::conflict) {
        *message.mutable_error() = batch_answers::wrong_version(
            complete.expected,
            co_await current_version(context_.store, complete.write.stream, unmet));
        co_return message;
    }
    if (!outcome) {
        *message.mutable_error() =
            batch_answers::failure(outcome.error(), complete.write.stream, context_.limits.bytes());
        co_return message;
    }
    auto& success = *message.mutable_success();
    if (outcome->last_revisions.front()) {
        success.set_current_revision(outcome->last_revisions.front()->value);
    } else {
        success.mutable_no_stream();
    }
    if (any_event) {
        success.mutable_position()->set_commit_position(outcome->position.value);
        success.mutable_position()->set_prepare_position(outcome->position.value);
    } else {
        success.mutable_no_position();
    }
    co_return message;
}

awaitable<void> batch_session::write_answers() {
    for (;;) {
        const std::uint64_t seen = changed_.version();
        if (!answers_.empty()) {
            const response message = std::move(answers_.front());
            answers_.pop_front();
            changed_.notify_all();
            const bool sent = !gone_ && co_await send(call_, message,
                                                      answers_.empty() ? more::no : more::follows);
            if (!sent) {
                gone_ = true;
                answers_.clear();
            }
            continue;
        }
        if (closed_) {
            co_return;
        }
        (void)co_await changed_.wait(seen, wait_max);
    }
}

awaitable<rpc_status> streams_service::batch_append(call& asked) {
    return batch_session::run(std::make_shared<batch_session>(context_, asked));
}

} // namespace immortal::esdb
