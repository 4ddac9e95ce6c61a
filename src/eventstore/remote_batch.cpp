#include "eventstore/remote_batch.hpp"

#include "esproto/wire/status.pb.h"
#include "esproto/wire/streams.grpc.pb.h"
#include "eventstore/remote_link.hpp"
#include "eventstore/remote_messages.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;
using outcome = base::result<append_outcome>;
using steady = std::chrono::steady_clock;
namespace wire = ::event_store::client;
namespace v1 = ::event_store::client::streams;

// A message of the call ends after the event that brings it to this size.
constexpr std::size_t message_bytes = 1u << 20;

std::unexpected<base::error> unknown() {
    return fail(errc::unknown_outcome,
                "it is not known whether the events were written: repeat the same request to find "
                "out",
                "event_store_away");
}

std::unexpected<base::error> refused(const ::google::rpc::Status& why, const std::string& stream) {
    const auto is = [&](auto detail) { return why.details().UnpackTo(&detail); };
    if (is(wire::WrongExpectedVersion{})) {
        return fail(errc::conflict, "the stream is at another revision", "wrong_expected_revision",
                    stream);
    }
    if (is(wire::StreamDeleted{})) {
        return fail(errc::deleted, "the stream is tombstoned", "tombstoned", stream);
    }
    if (is(wire::AccessDenied{})) {
        return fail(errc::forbidden, "the event store does not allow that to this user");
    }
    if (is(wire::MaximumAppendSizeExceeded{})) {
        return fail(errc::too_large, "the append is too large for the event store",
                    "append_too_large");
    }
    if (is(wire::MaximumAppendEventSizeExceeded{})) {
        return fail(errc::too_large, "an event is too large for the event store",
                    "event_too_large");
    }
    if (is(wire::BadRequest{}) || why.code() == ::google::rpc::INVALID_ARGUMENT) {
        return fail(errc::invalid_argument, why.message());
    }
    return unknown(); // a timeout, or nothing that says it was not done
}

outcome to_outcome(const v1::BatchAppendResp& answer, const std::string& stream) {
    if (!answer.has_success()) {
        return refused(answer.error(), stream);
    }
    const auto& success = answer.success();
    append_outcome out;
    out.position = {success.has_position() ? success.position().commit_position() : 0};
    out.last_revisions.push_back(success.current_revision_option_case() ==
                                         v1::BatchAppendResp::Success::kCurrentRevision
                                     ? std::optional(base::revision{success.current_revision()})
                                     : std::nullopt);
    return out;
}

void write_event(const new_event& event, const batch_place& place,
                 v1::BatchAppendReq::ProposedMessage& out) {
    esproto::write_uuid(event.id, esproto::uuid_form::structured, *out.mutable_id());
    auto& map = *out.mutable_metadata();
    map[esproto::type_key] = event.type;
    map[esproto::content_type_key] =
        event.format == eventlog::content::json ? esproto::json_content : esproto::binary_content;
    out.set_data(event.data);
    out.set_custom_metadata(to_bytes(event.metadata, place));
}

void write_options(const stream_write& write, milliseconds timeout,
                   v1::BatchAppendReq::Options& out) {
    out.mutable_stream_identifier()->set_stream_name(write.stream);
    esproto::write_expected_position(remote::expected_number(write.expected), out);
    out.mutable_deadline()->set_seconds(timeout.count() / 1000);
    out.mutable_deadline()->set_nanos(static_cast<std::int32_t>(timeout.count() % 1000) *
                                      1'000'000);
}

} // namespace

class remote_batch::call {
public:
    call(remote_link& link, const std::shared_ptr<grpc::Channel>& channel)
        : link_(link), stub_(v1::Streams::NewStub(channel)) {
        link.prepare(context_, call_kind::lasting_write);
        stream_ = stub_->BatchAppend(&context_);
        reader_ = std::thread([this] { read_answers(); });
    }
    ~call() {
        context_.TryCancel();
        reader_.join();
    }
    call(const call&) = delete;
    call& operator=(const call&) = delete;

    [[nodiscard]] bool ended() {
        const std::lock_guard lock(mutex_);
        return ended_.has_value();
    }

    outcome append(const stream_write& write) {
        const auto until = steady::now() + link_.settings().operation_timeout;
        const base::uuid id = next_id();
        waiting one{write.stream, std::nullopt};
        {
            const std::lock_guard lock(mutex_);
            waiting_.emplace(id, &one);
        }
        send(write, id, until);
        std::unique_lock lock(mutex_);
        answered_.wait_until(lock, until, [&] { return one.answer || ended_; });
        waiting_.erase(id);
        if (one.answer) {
            return std::move(*one.answer);
        }
        return ended_ ? fail(*ended_) : unknown();
    }

private:
    struct waiting {
        const std::string& stream;
        std::optional<outcome> answer;
    };

    base::uuid next_id() {
        const std::uint64_t number = ++last_;
        base::uuid id;
        std::memcpy(id.bytes.data(), &number, sizeof number);
        return id;
    }

    void send(const stream_write& write, const base::uuid& id, steady::time_point until) {
        const std::unique_lock turn(writing_, until);
        if (!turn.owns_lock()) {
            context_.TryCancel(); // who has it has waited for as long: the server takes nothing
            return;
        }
        const remote::append_places places(std::span(&write, 1));
        v1::BatchAppendReq message;
        write_options(write, link_.settings().operation_timeout, *message.mutable_options());
        std::size_t size = 0;
        for (std::uint32_t i = 0; i < write.events.size(); ++i) {
            const new_event& event = write.events[i];
            write_event(event, places.at(i), *message.add_proposed_messages());
            size += event.data.size() + event.metadata.size();
            if (size >= message_bytes && i + 1 < write.events.size()) {
                if (!put(message, id, false)) {
                    return;
                }
                message.Clear();
                size = 0;
            }
        }
        static_cast<void>(put(message, id, true));
    }

    // Under `writing_`. False: the call has ended, as its reader will find out.
    bool put(v1::BatchAppendReq& message, const base::uuid& id, bool last) {
        esproto::write_uuid(id, esproto::uuid_form::structured, *message.mutable_correlation_id());
        message.set_is_final(last);
        return !closed_ && stream_->Write(message);
    }

    void read_answers() {
        v1::BatchAppendResp answer;
        while (stream_->Read(&answer)) {
            const auto id = esproto::read_uuid(answer.correlation_id());
            const std::lock_guard lock(mutex_);
            const auto found = id ? waiting_.find(*id) : waiting_.end();
            if (found != waiting_.end()) { // else nobody waits for it any more
                found->second->answer = to_outcome(answer, found->second->stream);
                answered_.notify_all();
            }
        }
        grpc::Status status;
        {
            const std::lock_guard turn(writing_);
            closed_ = true;
            status = stream_->Finish();
        }
        base::error why = link_.failure(status, context_, call_kind::write, {});
        const std::lock_guard lock(mutex_);
        // What a refusing node says of the call does not hold for what it had taken before.
        ended_ = why.code == errc::unavailable ? unknown().error() : std::move(why);
        answered_.notify_all();
    }

    remote_link& link_;
    grpc::ClientContext context_;
    std::unique_ptr<v1::Streams::Stub> stub_;
    std::unique_ptr<grpc::ClientReaderWriter<v1::BatchAppendReq, v1::BatchAppendResp>> stream_;
    std::atomic<std::uint64_t> last_{0};
    std::timed_mutex writing_;
    bool closed_ = false; // under `writing_`
    std::mutex mutex_;    // of what follows
    std::condition_variable answered_;
    std::unordered_map<base::uuid, waiting*> waiting_;
    std::optional<base::error> ended_;
    std::thread reader_;
};

remote_batch::remote_batch(remote_link& link) : link_(link) {}
remote_batch::~remote_batch() = default;

base::result<std::shared_ptr<remote_batch::call>> remote_batch::current() {
    const std::lock_guard lock(mutex_);
    if (!call_ || call_->ended()) {
        auto channel = link_.channel();
        if (!channel) {
            return fail(std::move(channel.error()));
        }
        call_ = std::make_shared<call>(link_, *channel);
    }
    return call_;
}

base::result<append_outcome> remote_batch::append(const stream_write& write) {
    auto one = current();
    return one ? (*one)->append(write) : fail(std::move(one.error()));
}

} // namespace immortal::eventstore
