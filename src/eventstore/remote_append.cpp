#include "eventstore/remote_append.hpp"

#include "esproto/wire/streams.grpc.pb.h"
#include "esproto/wire/streams_v2.grpc.pb.h"
#include "eventlog/append_decision.hpp"
#include "eventstore/remote_batch.hpp"
#include "eventstore/remote_link.hpp"
#include "eventstore/remote_messages.hpp"

#include <algorithm>
#include <map>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;
using outcome = base::result<append_outcome>;
namespace v1 = ::event_store::client::streams;
namespace v2 = ::kurrentdb::protocol::v2::streams;

template <typename Request, typename Response>
outcome remove(remote_link& link, v1::Streams::Stub& stub, const stream_write& write,
               grpc::Status (v1::Streams::Stub::*call)(grpc::ClientContext*, const Request&,
                                                       Response*)) {
    grpc::ClientContext context;
    link.prepare(context, call_kind::write);
    Request request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(write.stream);
    esproto::write_expected(remote::expected_number(write.expected), *request.mutable_options());
    Response response;
    const auto status = (stub.*call)(&context, request, &response);
    if (!status.ok()) {
        return fail(link.failure(status, context, call_kind::write, write.stream));
    }
    append_outcome out;
    out.position = {response.has_position() ? response.position().commit_position() : 0};
    out.last_revisions.emplace_back(write.what == stream_write::action::tombstone
                                        ? std::optional(eventlog::tombstone_revision)
                                        : std::nullopt);
    return out;
}

v2::AppendRecord record_of(const new_event& event, const batch_place& place) {
    v2::AppendRecord record;
    record.set_record_id(event.id.text());
    for (const auto& [key, value] : to_properties(event.metadata, place)) {
        (*record.mutable_properties())[key].set_string_value(value);
    }
    record.mutable_schema()->set_name(event.type);
    record.mutable_schema()->set_format(
        event.format == eventlog::content::json ? v2::SCHEMA_FORMAT_JSON : v2::SCHEMA_FORMAT_BYTES);
    record.set_data(event.data);
    return record;
}

outcome outcome_of(const std::vector<stream_write>& writes,
                   const std::map<std::string, std::int64_t>& revisions, std::int64_t position) {
    append_outcome out;
    out.position = {static_cast<std::uint64_t>(std::max<std::int64_t>(position, 0))};
    for (const stream_write& write : writes) {
        const auto found = revisions.find(write.stream);
        const bool known = found != revisions.end() && found->second >= 0;
        out.last_revisions.push_back(
            known ? std::optional(base::revision{static_cast<std::uint64_t>(found->second)})
                  : std::nullopt);
    }
    return out;
}

outcome append_session(remote_link& link, v2::StreamsService::Stub& stub,
                       const std::vector<stream_write>& writes) {
    grpc::ClientContext context;
    link.prepare(context, call_kind::write);
    v2::AppendSessionResponse response;
    const auto session = stub.AppendSession(&context, &response);
    const remote::append_places places(writes);
    std::uint32_t index = 0;
    bool open = true;
    for (const stream_write& write : writes) {
        v2::AppendRequest request;
        request.set_stream(write.stream);
        request.set_expected_revision(remote::expected_number(write.expected));
        for (const new_event& event : write.events) {
            *request.add_records() = record_of(event, places.at(index++));
        }
        open = open && session->Write(request);
    }
    session->WritesDone();
    const auto status = session->Finish();
    if (!status.ok()) {
        return fail(link.failure(status, context, call_kind::write, writes.front().stream));
    }
    std::map<std::string, std::int64_t> revisions;
    for (const auto& each : response.output()) {
        revisions[each.stream()] = each.stream_revision();
    }
    return outcome_of(writes, revisions, response.position());
}

// Some streams are only checked.
outcome append_records(remote_link& link, v2::StreamsService::Stub& stub,
                       const std::vector<stream_write>& writes) {
    grpc::ClientContext context;
    link.prepare(context, call_kind::write);
    v2::AppendRecordsRequest request;
    const remote::append_places places(writes);
    std::uint32_t index = 0;
    for (const stream_write& write : writes) {
        for (const new_event& event : write.events) {
            v2::AppendRecord& record = *request.add_records();
            record = record_of(event, places.at(index++));
            record.set_stream(write.stream);
        }
        if (write.expected != expected_revision::any()) {
            auto& check = *request.add_checks()->mutable_stream_state();
            check.set_stream(write.stream);
            check.set_expected_state(remote::expected_number(write.expected));
        }
    }
    v2::AppendRecordsResponse response;
    const auto status = stub.AppendRecords(&context, request, &response);
    if (!status.ok()) {
        return fail(link.failure(status, context, call_kind::write, writes.front().stream));
    }
    std::map<std::string, std::int64_t> revisions;
    for (const auto& each : response.revisions()) {
        revisions[each.stream()] = each.revision();
    }
    return outcome_of(writes, revisions, response.position());
}

} // namespace

base::result<append_outcome> append_remotely(remote_link& link, remote_batch& batch,
                                             const std::vector<stream_write>& writes) {
    if (auto valid = eventlog::validate_append(writes); !valid) {
        return fail(std::move(valid.error()));
    }
    const auto channel = link.channel();
    if (!channel) {
        return fail(channel.error());
    }
    const auto deletes = [](const stream_write& write) {
        return write.what == stream_write::action::soft_delete ||
               write.what == stream_write::action::tombstone;
    };
    if (std::ranges::all_of(writes, [](const stream_write& write) {
            return write.what == stream_write::action::check;
        })) {
        return fail(errc::invalid_argument,
                    "a remote event store checks streams only together with a write of events");
    }
    if (writes.size() == 1) {
        const stream_write& write = writes.front();
        const auto stub = v1::Streams::NewStub(*channel);
        switch (write.what) {
        case stream_write::action::soft_delete:
            return remove(link, *stub, write, &v1::Streams::Stub::Delete);
        case stream_write::action::tombstone:
            return remove(link, *stub, write, &v1::Streams::Stub::Tombstone);
        case stream_write::action::append:
        case stream_write::action::check: // refused above
            return batch.append(write);
        }
    }
    if (std::ranges::any_of(writes, deletes)) {
        return fail(errc::invalid_argument,
                    "a remote event store deletes a stream only in an append of its own");
    }
    const auto stub = v2::StreamsService::NewStub(*channel);
    const bool all_write = std::ranges::none_of(
        writes, [](const stream_write& write) { return write.events.empty(); });
    return all_write ? append_session(link, *stub, writes) : append_records(link, *stub, writes);
}

} // namespace immortal::eventstore
