// PersistentSubscriptions.Read: one consumer. Two coroutines on the call's strand: one sends what
// the group gives, the other takes the answers.
#include "esdb/answer_room.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/group_requests.hpp"
#include "esdb/persistent_service.hpp"
#include "esdb/typed_call.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <map>

namespace immortal::esdb {
namespace {

namespace wire = groups_wire;

constexpr std::size_t rights_remembered = 1'000; // streams, of one consumer

// Whatever is shown has the position of the event of the source.
esproto::event_fields fields_of(const eventstore::recorded_event& event, base::position shown) {
    esproto::event_fields out = to_fields(event);
    out.commit_position = out.prepare_position = shown.value;
    return out;
}

nack_action action_of(wire::ReadReq::Nack::Action action) {
    switch (action) {
    case wire::ReadReq::Nack::Park:
        return nack_action::park;
    case wire::ReadReq::Nack::Skip:
        return nack_action::skip;
    case wire::ReadReq::Nack::Stop:
        return nack_action::stop;
    default:
        return nack_action::retry;
    }
}

// One call's consumer; leaves the group when the call ends, however it ends.
class consumer_session {
public:
    consumer_session(call& asked, authorizer& rules, group_name name, esproto::uuid_form form,
                     group_registry::runner_pointer group, std::shared_ptr<group_consumer> consumer)
        : call_(asked), rules_(rules), name_(std::move(name)), form_(form),
          group_(std::move(group)), consumer_(std::move(consumer)),
          room_(asked.answer_charge(), std::nullopt) {}
    ~consumer_session() { group_->disconnect(*consumer_); }
    consumer_session(const consumer_session&) = delete;
    consumer_session& operator=(const consumer_session&) = delete;

    awaitable<rpc_status> run() {
        using namespace boost::asio::experimental::awaitable_operators;
        wire::ReadResp confirmation;
        confirmation.mutable_subscription_confirmation()->set_subscription_id(name_.key());
        if (!co_await send(call_, confirmation)) {
            co_return rpc_status{};
        }
        auto ended = co_await (deliver() || take_answers());
        co_return std::visit([](auto& status) { return std::move(status); }, ended);
    }

private:
    awaitable<rpc_status> deliver() {
        while (auto offered = co_await consumer_->next()) {
            auto message = co_await group_->whole(*consumer_, std::move(*offered));
            offered.reset();
            if (!message) {
                continue; // somebody else's by now
            }
            // The group's memory counts the event; this is for the copy that waits to be taken.
            if (!co_await room_.hold(*message->event) ||
                !co_await send(call_, co_await to_message(*message))) {
                co_return rpc_status{};
            }
            room_.leave();
            const base::uuid id = message->id;
            message.reset();
            group_->sent(*consumer_, id);
        }
        co_return why_dropped();
    }

    awaitable<rpc_status> take_answers() {
        for (;;) {
            const auto answer = co_await receive<wire::ReadReq>(call_);
            if (!answer) {
                co_return answer.error();
            }
            if (!*answer) { // the client answers nothing more, and may still listen
                co_await consumer_->end();
                co_return why_dropped();
            }
            if (auto refused = apply(**answer)) {
                co_return std::move(*refused);
            }
        }
    }

    // Empty: go on.
    std::optional<rpc_status> apply(const wire::ReadReq& answer) {
        const bool ack = answer.has_ack();
        if (!ack && !answer.has_nack()) {
            return refusal::invalid("After the options come ack and nack, and nothing else.");
        }
        std::vector<base::uuid> ids;
        for (const auto& one : ack ? answer.ack().ids() : answer.nack().ids()) {
            const auto id = esproto::read_uuid(one);
            if (!id) {
                return refusal::invalid("An id is not a UUID.");
            }
            ids.push_back(*id);
        }
        if (ack) {
            group_->ack(*consumer_, ids);
        } else {
            group_->nack(*consumer_, ids, action_of(answer.nack().action()),
                         answer.nack().reason());
        }
        return std::nullopt;
    }

    awaitable<wire::ReadResp> to_message(const group_message& message) {
        const eventstore::resolved_event& shown = *message.event;
        const base::position position = message.original().position;
        wire::ReadResp out;
        auto& event = *out.mutable_event();
        const bool may = !shown.link || !shown.event || co_await may_read(shown.event->stream);
        if (shown.event && may) {
            esproto::write_event(fields_of(*shown.event, position), form_, *event.mutable_event());
        }
        if (shown.link) {
            esproto::write_event(fields_of(*shown.link, position), form_, *event.mutable_link());
        }
        event.set_commit_position(position.value);
        event.set_retry_count(message.retry_count);
        co_return out;
    }

    awaitable<bool> may_read(std::string stream) {
        if (const auto known = rights_.find(stream); known != rights_.end()) {
            co_return known->second;
        }
        const auto may = co_await rules_.may_access(call_.caller(), stream_right::read, stream);
        if (rights_.size() >= rights_remembered) {
            rights_.clear();
        }
        rights_.emplace(std::move(stream), may.has_value());
        co_return may.has_value();
    }

    [[nodiscard]] rpc_status why_dropped() const {
        switch (consumer_->dropped()) {
        case drop_reason::deleted:
            return refusal::group_missing(name_);
        case drop_reason::dropped:
            return refusal::group_dropped(name_);
        default:
            return refusal::not_ready();
        }
    }

    call& call_;
    authorizer& rules_;
    group_name name_;
    esproto::uuid_form form_;
    group_registry::runner_pointer group_;
    std::shared_ptr<group_consumer> consumer_;
    answer_room room_;
    std::map<std::string, bool> rights_; // to the targets of links
};

rpc_status connect_refusal(const base::error& error, const group_name& name) {
    switch (error.code) {
    case base::errc::exhausted:
        return refusal::group_full(name);
    case base::errc::deleted:
        return refusal::group_dropped(name);
    default:
        return to_group_status(error, name);
    }
}

} // namespace

awaitable<rpc_status> serve_consumer(call& asked, authorizer& rules, group_registry& groups) {
    const auto request = co_await receive_only<wire::ReadReq>(asked);
    if (!request) {
        co_return request.error();
    }
    if (!request->has_options()) {
        co_return refusal::invalid("The first message must be the options.");
    }
    const auto& options = request->options();
    const group_name name = name_of_group(options);
    if (auto refused = refuse_name(options)) {
        co_return std::move(*refused);
    }
    if (options.buffer_size() <= 0) {
        co_return refusal::invalid("The buffer size must be greater than 0.");
    }
    auto group = groups.find(name.key());
    if (!group) {
        co_return to_group_status(group.error(), name);
    }
    auto consumer = (*group)->connect(
        static_cast<std::size_t>(options.buffer_size()),
        {asked.headers().peer, asked.caller().name, asked.headers().connection_name});
    if (!consumer) {
        co_return connect_refusal(consumer.error(), name);
    }
    const auto form = options.uuid_option().has_string() ? esproto::uuid_form::string
                                                         : esproto::uuid_form::structured;
    consumer_session session(asked, rules, name, form, std::move(*group), std::move(*consumer));
    co_return co_await session.run();
}

} // namespace immortal::esdb
