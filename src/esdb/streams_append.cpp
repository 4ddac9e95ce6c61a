// Streams.Append, Delete and Tombstone.
#include "esdb/append_account.hpp"
#include "esdb/append_outcomes.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/streams_service.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/streams.grpc.pb.h"

namespace immortal::esdb {

namespace wire = ::event_store::client::streams;
namespace expected = esproto::expected;
using action = eventstore::stream_write::action;

namespace {

template <typename Response>
rpc_result<Response> position_answer(const rpc_result<base::position>& at) {
    if (!at) {
        return refuse(at.error());
    }
    Response response;
    response.mutable_position()->set_commit_position(at->value);
    response.mutable_position()->set_prepare_position(at->value);
    return response;
}

// Both generations of the fields.
wire::AppendResp wrong_version(std::int64_t wanted, std::optional<std::int64_t> current) {
    wire::AppendResp message;
    auto& out = *message.mutable_wrong_expected_version();
    if (!current || *current < 0) {
        out.mutable_no_stream_20_6_0();
        out.mutable_current_no_stream();
    } else {
        out.set_current_revision_20_6_0(static_cast<std::uint64_t>(*current));
        out.set_current_revision(static_cast<std::uint64_t>(*current));
    }
    switch (wanted) {
    case expected::any:
        out.mutable_any_20_6_0();
        out.mutable_expected_any();
        break;
    case expected::stream_exists:
        out.mutable_stream_exists_20_6_0();
        out.mutable_expected_stream_exists();
        break;
    case expected::no_stream:
        out.set_expected_revision_20_6_0(esproto::end_value);
        out.mutable_expected_no_stream();
        break;
    default:
        out.set_expected_revision_20_6_0(static_cast<std::uint64_t>(wanted));
        out.set_expected_revision(static_cast<std::uint64_t>(wanted));
    }
    return message;
}

wire::AppendResp success(const eventstore::append_outcome& outcome, bool any_event) {
    wire::AppendResp message;
    auto& out = *message.mutable_success();
    if (outcome.last_revisions.front()) {
        out.set_current_revision(outcome.last_revisions.front()->value);
    } else {
        out.mutable_no_stream();
    }
    if (any_event) {
        out.mutable_position()->set_commit_position(outcome.position.value);
        out.mutable_position()->set_prepare_position(outcome.position.value);
    } else {
        out.mutable_no_position();
    }
    return message;
}

rpc_status refusal_of(proposal_fault fault) {
    switch (fault) {
    case proposal_fault::metadata_missing:
        return refusal::metadata_missing();
    case proposal_fault::bad_id:
        return refusal::invalid("An event's identifier must be a UUID and not the empty one.");
    default:
        return refusal::invalid("An event's type must not be empty.");
    }
}

// By the name of its kind, in the words of whoever knows which limit was hit.
rpc_status append_too_large(std::size_t size_max, const std::string& excess) {
    rpc_status status = refusal::append_too_large(size_max);
    status.message = excess;
    return status;
}

} // namespace

awaitable<rpc_result<eventstore::stream_write>>
streams_service::receive_append(call& asked, append_account& account, std::int64_t& wanted) {
    auto first = co_await receive_only<wire::AppendReq>(asked);
    if (!first) {
        co_return refuse(std::move(first.error()));
    }
    if (!first->has_options()) {
        co_return refuse(refusal::invalid("The first message of an append has its options."));
    }
    eventstore::stream_write write;
    write.stream = first->options().stream_identifier().stream_name();
    const auto expectation = esproto::read_expected(first->options());
    if (const auto fault = name_fault(write.stream); fault || !expectation) {
        co_return refuse(refusal::invalid(fault.value_or("The expected revision is missing.")));
    }
    wanted = *expectation;
    write.expected = *to_expected(wanted);
    for (;;) {
        auto message = co_await receive<wire::AppendReq>(asked);
        if (!message) {
            co_return refuse(std::move(message.error()));
        }
        if (!*message) {
            if (!co_await asked.confirm_end()) {
                co_return refuse({grpc::StatusCode::CANCELLED, "The append was broken off."});
            }
            co_return write;
        }
        if (!(*message)->has_proposed_message()) {
            co_return refuse(refusal::invalid("After its options an append has only events."));
        }
        auto event = to_new_event(*(*message)->mutable_proposed_message());
        if (!event) {
            co_return refuse(refusal_of(event.error()));
        }
        switch (account.take(write.stream, *event)) {
        case append_account::outcome::taken:
            break;
        case append_account::outcome::event_too_large:
            co_return refuse(
                refusal::event_too_large(event->id, size_of(*event), eventlog::event_size_max));
        case append_account::outcome::append_too_large:
            co_return refuse(append_too_large(account.bytes_max(), account.excess()));
        case append_account::outcome::no_room:
            co_return refuse(refusal::too_busy());
        }
        write.events.push_back(std::move(*event));
    }
}

awaitable<rpc_status> streams_service::append(call& asked) {
    append_account account(asked.make_charge(), context_.limits);
    std::int64_t wanted = expected::any;
    auto write = co_await receive_append(asked, account, wanted);
    if (!write) {
        co_return std::move(write.error());
    }
    const std::string stream = write->stream;
    const bool any_event = !write->events.empty();
    const accepted_work work(asked);
    std::vector<eventstore::stream_write> writes;
    writes.push_back(std::move(*write));
    const auto unmet = std::make_shared<std::vector<eventstore::unmet_expectation>>();
    const auto outcome = co_await append_within(context_.store, std::move(writes),
                                                context_.write_limit, account.charge(), unmet);
    if (outcome) {
        reply(asked, success(*outcome, any_event));
        co_return rpc_status{};
    }
    if (outcome.error().code == base::errc::conflict) {
        const auto current = co_await current_version(context_.store, stream, unmet);
        reply(asked, wrong_version(wanted, current));
        co_return rpc_status{};
    }
    if (outcome.error().reason == "append_too_large") {
        co_return append_too_large(context_.limits.bytes(), outcome.error().message);
    }
    co_return to_status(outcome.error(), stream);
}

awaitable<rpc_result<base::position>>
streams_service::end_stream(std::string stream, std::optional<std::int64_t> wanted, action what) {
    if (const auto fault = name_fault(stream); fault || !wanted) {
        co_return refuse(refusal::invalid(fault.value_or("The expected revision is missing.")));
    }
    std::vector<eventstore::stream_write> writes;
    writes.push_back({stream, *to_expected(*wanted), {}, what});
    const auto unmet = std::make_shared<std::vector<eventstore::unmet_expectation>>();
    const auto outcome = co_await append_within(context_.store, std::move(writes),
                                                context_.write_limit, nullptr, unmet);
    if (outcome) {
        co_return outcome->position;
    }
    if (outcome.error().code == base::errc::conflict) {
        const auto current = co_await current_version(context_.store, stream, unmet);
        co_return refuse(refusal::wrong_expected_version(stream, *wanted, current));
    }
    co_return refuse(to_status(outcome.error(), stream));
}

awaitable<rpc_result<streams_service::delete_response>>
streams_service::remove(call& /*asked*/, delete_request request) {
    co_return position_answer<delete_response>(
        co_await end_stream(request.options().stream_identifier().stream_name(),
                            esproto::read_expected(request.options()), action::soft_delete));
}

awaitable<rpc_result<streams_service::tombstone_response>>
streams_service::tombstone(call& /*asked*/, tombstone_request request) {
    co_return position_answer<tombstone_response>(
        co_await end_stream(request.options().stream_identifier().stream_name(),
                            esproto::read_expected(request.options()), action::tombstone));
}

} // namespace immortal::esdb
