#include "esdb/streams_v2_service.hpp"

#include "esdb/append_outcomes.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/typed_call.hpp"
#include "esdb/v2_records.hpp"
#include "esproto/wire/streams_v2.grpc.pb.h"

#include <algorithm>
#include <unordered_map>

namespace immortal::esdb {

namespace wire = v2::wire;
namespace expected = esproto::expected;
using eventstore::stream_write;
using write_list = std::vector<stream_write>;

namespace {

constexpr int attempts_max = 5; // while others write to the streams that are checked

// The writes of an append, each stream's found by its name.
class write_set {
public:
    // Null: there is none.
    stream_write* find(const std::string& stream) {
        const auto found = numbers_.find(stream);
        return found == numbers_.end() ? nullptr : &list_[found->second];
    }
    stream_write& find_or_add(const std::string& stream) {
        const auto [found, added] = numbers_.try_emplace(stream, list_.size());
        if (added) {
            list_.push_back({stream, {}, {}});
        }
        return list_[found->second];
    }
    [[nodiscard]] write_list take() { return std::move(list_); }
    [[nodiscard]] std::size_t size() const { return list_.size(); }

private:
    write_list list_;
    std::unordered_map<std::string, std::size_t> numbers_;
};

// One record into `write`, within the bounds.
std::optional<rpc_status> add_record(wire::AppendRecord& record, stream_write& write,
                                     byte_budget::share& share, base::random_source& random) {
    auto event = v2::to_event(record, write.stream, random);
    if (!event) {
        return std::move(event.error());
    }
    const std::size_t size = size_of(*event);
    if (size > eventlog::event_size_max) {
        return v2::record_too_large(write.stream, event->id.text(), size);
    }
    if (share.held() + size > eventlog::append_size_max) {
        return v2::append_too_large(share.held() + size);
    }
    if (!share.grow(size)) {
        return refusal::too_busy();
    }
    write.events.push_back(std::move(*event));
    return std::nullopt;
}

std::int64_t number_of(const eventlog::expected_revision& value) {
    using kind = eventlog::expected_revision::kind;
    switch (value.what) {
    case kind::any:
        return expected::any;
    case kind::no_stream:
        return expected::no_stream;
    case kind::stream_exists:
        return expected::stream_exists;
    default:
        return static_cast<std::int64_t>(value.exact.value);
    }
}

struct check {
    std::int32_t index = 0;
    std::string stream;
    std::int64_t expected = 0;
};

rpc_result<std::vector<check>> checks_of(const wire::AppendRecordsRequest& request) {
    std::vector<check> out;
    for (int i = 0; i < request.checks_size(); ++i) {
        const auto& one = request.checks(i);
        const auto& state = one.stream_state();
        const auto fault = name_fault(state.stream());
        if (!one.has_stream_state() || fault || state.expected_state() < expected::tombstoned ||
            state.expected_state() == -3) {
            return refuse(refusal::invalid(
                fault.value_or("A consistency check names a stream and a known state.")));
        }
        out.push_back({i, state.stream(), state.expected_state()});
    }
    return out;
}

// The checks' expectations as conditions of the append itself. A stream that is only checked gets
// an empty write. What a soft-deleted or tombstoned stream must be is seen to beforehand.
void add_conditions(const std::vector<check>& checks, write_set& writes) {
    for (const check& one : checks) {
        const auto wanted = to_expected(one.expected);
        if (!wanted || one.expected == expected::any) {
            continue;
        }
        stream_write& write = writes.find_or_add(one.stream);
        if (one.expected >= 0 || write.expected == eventlog::expected_revision::any()) {
            write.expected = *wanted;
        }
    }
}

} // namespace

void streams_v2_service::add_to(method_table& methods) {
    const auto name = wire::StreamsService::service_full_name();
    methods.add(name, "AppendSession",
                {.serve = [this](call& asked) { return append_session(asked); }});
    methods.add(name, "AppendRecords",
                {.serve = unary<records_request, records_response>(
                     [this](call& asked, records_request request) {
                         return append_records(asked, std::move(request));
                     })});
}

awaitable<base::status> streams_v2_service::may_write_all(call& asked,
                                                          std::span<const stream_write> writes) {
    for (const stream_write& write : writes) {
        auto allowed = co_await may_write(context_, asked.caller(), write.stream);
        if (!allowed) {
            co_return allowed;
        }
    }
    co_return base::status{};
}

awaitable<rpc_result<write_list>> streams_v2_service::receive_session(call& asked,
                                                                      byte_budget::share& share) {
    write_set writes;
    for (;;) {
        auto request = co_await receive<wire::AppendRequest>(asked);
        if (!request) {
            co_return refuse(std::move(request.error()));
        }
        if (!*request) {
            if (!co_await asked.confirm_end()) {
                co_return refuse({grpc::StatusCode::CANCELLED, "The append was broken off."});
            }
            co_return writes.take();
        }
        wire::AppendRequest& in = **request;
        if (writes.find(in.stream()) != nullptr) {
            co_return refuse(v2::stream_repeated(in.stream()));
        }
        const auto wanted =
            to_expected(in.has_expected_revision() ? in.expected_revision() : expected::any);
        const auto fault = name_fault(in.stream());
        if (fault || !wanted || in.records().empty()) {
            co_return refuse(refusal::invalid(fault.value_or(
                !wanted ? "The expected revision is not one that is known."
                        : "A request of an append session has at least one record.")));
        }
        stream_write& write = writes.find_or_add(in.stream());
        write.expected = *wanted;
        for (auto& record : *in.mutable_records()) {
            if (auto refused = add_record(record, write, share, context_.random)) {
                co_return refuse(std::move(*refused));
            }
        }
    }
}

awaitable<rpc_status> streams_v2_service::session_conflict(write_list tried, base::error error) {
    const bool about_a_stream =
        error.code == base::errc::conflict || error.code == base::errc::deleted;
    if (!about_a_stream) {
        co_return error.reason == "append_too_large" ? v2::append_too_large(0)
                                                     : to_status(error, error.field);
    }
    // The first stream that does not satisfy its expectation; the error's field names it as well,
    // but not every store does.
    for (const stream_write& write : tried) {
        const auto info = co_await context_.store.info(write.stream);
        const std::int64_t state = info ? v2::state_of(*info) : expected::no_stream;
        const std::int64_t wanted = number_of(write.expected);
        if (state == expected::tombstoned) {
            co_return v2::stream_tombstoned(write.stream);
        }
        if (state == expected::soft_deleted && wanted == expected::stream_exists) {
            co_return v2::stream_deleted(write.stream);
        }
        if (error.field == write.stream || (error.field.empty() && !v2::satisfies(state, wanted))) {
            co_return v2::revision_conflict(write.stream, wanted,
                                            info && info->last
                                                ? static_cast<std::int64_t>(info->last->value)
                                                : expected::no_stream);
        }
    }
    co_return refusal::timed_out("the streams changed meanwhile");
}

awaitable<rpc_status> streams_v2_service::append_session(call& asked) {
    byte_budget::share share(context_.memory);
    auto writes = co_await receive_session(asked, share);
    if (!writes) {
        co_return std::move(writes.error());
    }
    if (writes->empty()) {
        co_return v2::no_requests();
    }
    if (const auto allowed = co_await may_write_all(asked, *writes); !allowed) {
        co_return v2::access_denied("AppendSession", asked.caller().name);
    }
    write_list tried; // for the answer: names and expectations
    for (const stream_write& write : *writes) {
        tried.push_back({write.stream, write.expected, {}});
    }
    const auto outcome =
        co_await append_within(context_.store, std::move(*writes), context_.write_limit);
    if (!outcome) {
        co_return co_await session_conflict(std::move(tried), outcome.error());
    }
    wire::AppendSessionResponse response;
    const auto position = static_cast<std::int64_t>(outcome->position.value);
    response.set_position(position);
    for (std::size_t i = 0; i < tried.size(); ++i) {
        auto& one = *response.add_output();
        one.set_stream(tried[i].stream);
        one.set_position(position);
        if (const auto last = outcome->last_revisions[i]) {
            one.set_stream_revision(static_cast<std::int64_t>(last->value));
        }
    }
    reply(asked, response);
    co_return rpc_status{};
}

namespace {

// What holds not, by the state of the streams just now. Errors: those of the store.
awaitable<base::result<std::vector<v2::violation>>>
violations_of(eventstore::event_store& store, const std::vector<check>& checks) {
    std::vector<v2::violation> found;
    for (const check& one : checks) {
        const auto info = co_await store.info(one.stream);
        if (!info) {
            co_return base::fail(info.error());
        }
        const std::int64_t state = v2::state_of(*info);
        if (!v2::satisfies(state, one.expected)) {
            found.push_back({one.index, one.stream, one.expected, state});
        }
    }
    co_return found;
}

rpc_result<write_set> group_records(wire::AppendRecordsRequest& request, byte_budget::share& share,
                                    base::random_source& random) {
    write_set writes;
    std::uint32_t place = 0; // in the log the records stand as they were sent
    for (auto& record : *request.mutable_records()) {
        if (const auto fault = name_fault(record.stream())) {
            return refuse(refusal::invalid(*fault));
        }
        stream_write& write = writes.find_or_add(record.stream());
        if (auto refused = add_record(record, write, share, random)) {
            return refuse(std::move(*refused));
        }
        write.events.back().place = place++;
    }
    if (writes.size() == 0) {
        return refuse(refusal::invalid("An append has at least one record."));
    }
    return writes;
}

// Those that an append's own expectations cannot say.
bool needs_looking(const check& one) {
    return one.expected == expected::soft_deleted || one.expected == expected::tombstoned;
}

} // namespace

awaitable<rpc_result<wire::AppendRecordsResponse>>
streams_v2_service::append_records(call& asked, records_request request) {
    byte_budget::share share(context_.memory);
    const auto checks = checks_of(request);
    if (!checks) {
        co_return refuse(checks.error());
    }
    auto grouped = group_records(request, share, context_.random);
    if (!grouped) {
        co_return refuse(std::move(grouped.error()));
    }
    const std::size_t written = grouped->size(); // the others are only checked
    add_conditions(*checks, *grouped);
    write_list writes = grouped->take();
    const std::span<const stream_write> all(writes);
    if (const auto allowed = co_await may_write_all(asked, all.first(written)); !allowed) {
        co_return refuse(v2::access_denied("AppendRecords", asked.caller().name));
    }
    bool look_first = std::ranges::any_of(*checks, needs_looking);
    base::error last;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        if (look_first) {
            const auto violations = co_await violations_of(context_.store, *checks);
            if (!violations) {
                co_return refuse(to_status(violations.error(), ""));
            }
            if (!violations->empty()) {
                co_return refuse(v2::consistency_violation(*violations));
            }
        }
        const auto outcome = co_await append_within(context_.store, writes, context_.write_limit);
        if (outcome) {
            wire::AppendRecordsResponse response;
            response.set_position(static_cast<std::int64_t>(outcome->position.value));
            for (std::size_t i = 0; i < written; ++i) {
                auto& one = *response.add_revisions();
                one.set_stream(writes[i].stream);
                one.set_revision(static_cast<std::int64_t>(
                    outcome->last_revisions[i].value_or(base::revision{0}).value));
            }
            co_return response;
        }
        last = outcome.error();
        if (last.code != base::errc::conflict) {
            break;
        }
        look_first = true; // and say which checks do not hold
    }
    co_return refuse(co_await session_conflict(std::move(writes), std::move(last)));
}

} // namespace immortal::esdb
