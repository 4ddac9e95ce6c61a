// Streams.Read as a subscription: catch-up, then live. It reads from the log at the client's pace;
// a client that is slow is behind, and nothing else. A page for which there is no room is dropped,
// and read again.
#include "esdb/answer_room.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/event_sender.hpp"
#include "esdb/page_sizer.hpp"
#include "esdb/streams_service.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/streams.grpc.pb.h"

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::streams;

void write_time(base::utc_time time, google::protobuf::Timestamp& out) {
    const auto micros = time.time_since_epoch().count();
    out.set_seconds(micros / 1'000'000);
    out.set_nanos(static_cast<std::int32_t>(micros % 1'000'000) * 1000);
}

// One subscription's progress and the messages that tell of it. Used on the call's strand.
class follower {
public:
    follower(const service_context& context, call& asked, const read_plan& plan)
        : context_(context), call_(asked), plan_(plan), room_(asked.answer_charge(), std::nullopt),
          sender_(context, asked, plan, room_) {}

    awaitable<rpc_status> run() {
        auto opened = co_await open();
        if (!opened) {
            co_return to_status(opened.error(), plan_.stream);
        }
        wire::ReadResp confirmation;
        confirmation.mutable_confirmation()->set_subscription_id(
            base::uuid::make_random(context_.random).text());
        bool alive = co_await send(call_, confirmation);
        while (alive) {
            auto batch = co_await source_->next(sizer_.next(), considered_wanted());
            if (!batch) {
                co_return to_status(batch.error(), plan_.stream);
            }
            if (!room_.take(batch->events)) {
                sizer_.observe(batch->events);
                *batch = {};
                source_.reset();
                if (!co_await room_.wait()) {
                    co_return rpc_status{};
                }
                follow();
                continue;
            }
            const auto sent = co_await deliver(std::move(*batch));
            if (!sent) {
                co_return to_status(sent.error(), plan_.stream);
            }
            alive = *sent;
            room_.leave();
        }
        co_return rpc_status{};
    }

private:
    awaitable<base::status> open() { return plan_.all ? open_all() : open_stream(); }

    awaitable<base::status> open_stream() {
        const auto info = co_await context_.store.info(plan_.stream);
        if (!info) {
            co_return base::fail(info.error());
        }
        if (info->tombstoned) {
            co_return base::fail(base::errc::deleted, "the stream is deleted");
        }
        revision_ = info->soft_deleted ? std::nullopt : info->last;
        if (plan_.from == read_from::end) {
            after_revision_ = info->last;
        } else if (plan_.from == read_from::place) {
            after_revision_ = base::revision{plan_.place};
        }
        follow();
        co_return base::status{};
    }

    awaitable<base::status> open_all() {
        const auto head = context_.store.head();
        position_ = head;
        if (plan_.from == read_from::end) {
            after_position_ = head;
        } else if (plan_.from == read_from::place) {
            if (plan_.place > (head ? head->value : 0)) {
                co_return base::fail(base::errc::invalid_argument,
                                     "Trying to read from an invalid position.");
            }
            after_position_ = base::position{plan_.place};
        }
        follow();
        co_return base::status{};
    }

    // From where it stands.
    void follow() {
        source_ = plan_.all ? context_.store.subscribe_all(after_position_,
                                                           plan_.filter ? plan_.filter->filter
                                                                        : eventstore::all_filter{})
                            : context_.store.subscribe_stream(plan_.stream, after_revision_);
    }

    [[nodiscard]] std::size_t considered_wanted() const {
        return plan_.filter ? plan_.filter->checkpoint_interval - considered_
                            : eventstore::subscription::unbounded;
    }

    awaitable<base::result<bool>> deliver(eventstore::subscription::batch batch) {
        sizer_.observe(batch.events);
        if (!batch.events.empty()) {
            revision_ = after_revision_ = batch.events.back().revision;
        }
        if (!batch.events.empty() || batch.processed.value > 0) { // else nothing was looked at
            after_position_ = batch.processed;
        }
        if (plan_.all) {
            std::erase_if(batch.events, [](const auto& event) { return !shown_in_all(event); });
        }
        const bool first_time_live = batch.caught_up && !told_caught_up_;
        const bool checkpoint = plan_.filter && is_checkpoint_due(batch, first_time_live);
        const bool more_after = first_time_live || checkpoint;
        auto sent =
            co_await sender_.send(std::move(batch.events), more_after ? more::follows : more::no);
        if (!sent || !*sent) {
            co_return sent;
        }
        if (checkpoint && !co_await tell_checkpoint(batch.processed)) {
            co_return false;
        }
        if (first_time_live) {
            told_caught_up_ = true;
            co_return co_await tell_caught_up(batch.processed);
        }
        co_return true;
    }

    // After so many events; and when the store only tells how far it looked, which it does about a
    // second after an event that the filter does not want.
    bool is_checkpoint_due(const eventstore::subscription::batch& batch, bool first_time_live) {
        considered_ += batch.considered;
        const bool due = considered_ >= plan_.filter->checkpoint_interval ||
                         (batch.events.empty() && considered_ > 0);
        if (due) {
            considered_ = 0;
        }
        return (due || first_time_live) && (!checkpoint_ || batch.processed > *checkpoint_);
    }

    awaitable<bool> tell_checkpoint(base::position at) {
        checkpoint_ = at;
        wire::ReadResp message;
        message.mutable_checkpoint()->set_commit_position(at.value);
        message.mutable_checkpoint()->set_prepare_position(at.value);
        write_time(context_.clock.now(), *message.mutable_checkpoint()->mutable_timestamp());
        return send(call_, message);
    }

    awaitable<bool> tell_caught_up(base::position processed) {
        wire::ReadResp message;
        auto& caught_up = *message.mutable_caught_up();
        write_time(context_.clock.now(), *caught_up.mutable_timestamp());
        if (!plan_.all && revision_) {
            caught_up.set_stream_revision(static_cast<std::int64_t>(revision_->value));
        }
        if (plan_.all && context_.store.head()) {
            const std::uint64_t at = std::max(processed.value, position_ ? position_->value : 0);
            caught_up.mutable_position()->set_commit_position(at);
            caught_up.mutable_position()->set_prepare_position(at);
        }
        return send(call_, message);
    }

    const service_context& context_;
    call& call_;
    const read_plan& plan_;
    answer_room room_;
    event_sender sender_;
    page_sizer sizer_;
    std::optional<base::revision> after_revision_; // where it stands in a stream,
    std::optional<base::position> after_position_; // and in everything
    std::unique_ptr<eventstore::subscription> source_;
    std::optional<base::revision> revision_;   // the last one sent, or of the stream at the start
    std::optional<base::position> position_;   // the log's head at the start
    std::optional<base::position> checkpoint_; // the last one told
    std::uint64_t considered_ = 0;             // since then
    bool told_caught_up_ = false;
};

} // namespace

awaitable<rpc_status> streams_service::subscribe(call& asked, read_plan plan) {
    follower one(context_, asked, plan);
    co_return co_await one.run();
}

} // namespace immortal::esdb
