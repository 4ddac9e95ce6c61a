#include "esdb/streams_v2_service.hpp"

#include "esdb/append_account.hpp"
#include "esdb/append_outcomes.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/typed_call.hpp"
#include "esdb/v2_records.hpp"
#include "esproto/wire/streams_v2.grpc.pb.h"
#include "eventlog/append_decision.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace immortal::esdb {

namespace wire = v2::wire;
namespace expected = esproto::expected;
using eventstore::stream_write;
using write_list = std::vector<stream_write>;

namespace {

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
    // Precondition: it is there.
    [[nodiscard]] std::size_t number_of(const std::string& stream) const {
        return numbers_.at(stream);
    }
    [[nodiscard]] write_list take() { return std::move(list_); }
    [[nodiscard]] std::size_t size() const { return list_.size(); }

private:
    write_list list_;
    std::unordered_map<std::string, std::size_t> numbers_;
};

// By the name of its kind, in the words of whoever knows which limit was hit.
rpc_status append_too_large(std::size_t size, std::size_t size_max, const std::string& excess) {
    rpc_status status = v2::append_too_large(size, size_max);
    status.message = excess;
    return status;
}

// One record into `write`, within the bounds.
std::optional<rpc_status> add_record(wire::AppendRecord& record, stream_write& write,
                                     append_account& account, base::random_source& random) {
    auto event = v2::to_event(record, write.stream, random);
    if (!event) {
        return std::move(event.error());
    }
    switch (account.take(write.stream, *event)) {
    case append_account::outcome::taken:
        break;
    case append_account::outcome::event_too_large:
        return v2::record_too_large(write.stream, event->id.text(), size_of(*event));
    case append_account::outcome::append_too_large:
        return append_too_large(account.size(), account.bytes_max(), account.excess());
    case append_account::outcome::no_room:
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
    case kind::soft_deleted:
        return expected::soft_deleted;
    case kind::tombstoned:
        return expected::tombstoned;
    case kind::exact:
        break;
    }
    return static_cast<std::int64_t>(value.exact.value);
}

// Where a stream stands, in the numbers of the protocol.
std::int64_t number_of(const eventstore::unmet_expectation& unmet) {
    using standing = eventstore::unmet_expectation::standing;
    switch (unmet.actual) {
    case standing::absent:
        return expected::no_stream;
    case standing::soft_deleted:
        return expected::soft_deleted;
    case standing::tombstoned:
        return expected::tombstoned;
    case standing::present:
        break;
    }
    return static_cast<std::int64_t>(unmet.last.value_or(base::revision{0}).value);
}

// Also of a check: empty for `any` and for numbers without a meaning.
std::optional<eventlog::expected_revision> expectation_of(std::int64_t number) {
    switch (number) {
    case expected::any:
        return std::nullopt;
    case expected::soft_deleted:
        return eventlog::expected_revision::soft_deleted();
    case expected::tombstoned:
        return eventlog::expected_revision::tombstoned();
    default:
        return to_expected(number);
    }
}

struct check {
    std::int32_t index = 0;
    std::string stream;
    eventlog::expected_revision expected;
};

// Each is held and looked up like a stream, and none is counted with the events.
bool has_few_checks(const wire::AppendRecordsRequest& request) {
    return static_cast<std::size_t>(request.checks_size()) <= eventlog::append_bare_streams_max;
}

rpc_result<std::vector<check>> checks_of(const wire::AppendRecordsRequest& request,
                                         append_account& account) {
    if (!has_few_checks(request)) {
        return refuse(refusal::invalid(
            fmt::format("The append has {} consistency checks; at most {} are taken.",
                        request.checks_size(), eventlog::append_bare_streams_max)));
    }
    std::vector<check> out;
    std::unordered_set<std::string_view> seen;
    for (int i = 0; i < request.checks_size(); ++i) {
        const auto& one = request.checks(i);
        const auto& state = one.stream_state();
        const auto fault = name_fault(state.stream());
        const auto wanted = expectation_of(state.expected_state());
        if (!one.has_stream_state() || fault || !wanted) {
            return refuse(refusal::invalid(fault.value_or(
                "A consistency check names a stream and a state that can be checked.")));
        }
        if (!seen.insert(state.stream()).second) {
            return refuse(refusal::invalid(
                fmt::format("Stream '{}' is checked twice.", printable(state.stream()))));
        }
        if (!account.take_stream(state.stream())) {
            return refuse(refusal::too_busy());
        }
        out.push_back({i, state.stream(), *wanted});
    }
    return out;
}

// The checks become expectations of the append itself, which decides them with its writes: of the
// streams that it writes, or of streams that it only checks. By the place of a stream among the
// writes: the check that it stands in.
std::unordered_map<std::size_t, std::int32_t> add_checks(const std::vector<check>& checks,
                                                         write_set& writes) {
    std::unordered_map<std::size_t, std::int32_t> indexes;
    for (const check& one : checks) {
        const bool written = writes.find(one.stream) != nullptr;
        stream_write& write = writes.find_or_add(one.stream);
        write.expected = one.expected;
        write.what = written ? stream_write::action::append : stream_write::action::check;
        indexes.emplace(writes.number_of(one.stream), one.index);
    }
    return indexes;
}

} // namespace

namespace {

stream_needs needs_of_session(const wire::AppendRequest& request) {
    return needs_of(request.stream(), stream_right::write);
}

// To write where records go, and to read what is only checked: the answer tells its state. Of a
// request that is refused for its checks nothing is looked up.
stream_needs needs_of_records(const wire::AppendRecordsRequest& request) {
    if (!has_few_checks(request)) {
        return {};
    }
    std::unordered_set<std::string_view> seen;
    stream_needs needs;
    const auto add = [&](const std::string& stream, stream_right right) {
        if (!name_fault(stream) && seen.insert(stream).second) {
            needs.push_back({stream, right});
        }
    };
    for (const auto& record : request.records()) {
        add(record.stream(), stream_right::write);
    }
    for (const auto& check : request.checks()) {
        add(check.stream_state().stream(), stream_right::read);
    }
    return needs;
}

rpc_status denial_of(const char* method, const base::error& error, const std::string& stream,
                     const principal& caller) {
    if (error.code != base::errc::forbidden) {
        return to_status(error, stream);
    }
    return error.reason == "reserved_stream" ? v2::access_denied(method, caller.name, error.message)
                                             : v2::access_denied(method, caller.name);
}

rpc_status session_denial(const base::error& error, const std::string& stream,
                          const principal& caller) {
    return denial_of("AppendSession", error, stream, caller);
}

rpc_status records_denial(const base::error& error, const std::string& stream,
                          const principal& caller) {
    return denial_of("AppendRecords", error, stream, caller);
}

} // namespace

void streams_v2_service::add_to(method_table& methods) {
    const auto name = wire::StreamsService::service_full_name();
    methods.add(name, "AppendSession",
                {.serve = [this](call& asked) { return append_session(asked); },
                 .access = stream_rule<wire::AppendRequest, needs_of_session>(session_denial),
                 .kind = call_kind::append,
                 .receives = intake::large_messages});
    methods.add(name, "AppendRecords",
                {.serve = unary<records_request, records_response>(
                     [this](call& asked, records_request request) {
                         return append_records(asked, std::move(request));
                     }),
                 .access = stream_rule<records_request, needs_of_records>(records_denial),
                 .kind = call_kind::append,
                 .receives = intake::large});
}

awaitable<rpc_result<write_list>> streams_v2_service::receive_session(call& asked,
                                                                      append_account& account) {
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
        if (!account.take_stream(in.stream())) {
            co_return refuse(refusal::too_busy());
        }
        for (auto& record : *in.mutable_records()) {
            if (auto refused = add_record(record, write, account, context_.random)) {
                co_return refuse(std::move(*refused));
            }
        }
    }
}

namespace {

using unmet_list = std::vector<eventstore::unmet_expectation>;

// Names and expectations, for the answer.
write_list outline_of(const write_list& writes) {
    write_list out;
    out.reserve(writes.size());
    for (const stream_write& write : writes) {
        out.push_back({write.stream, write.expected, {}, write.what});
    }
    return out;
}

rpc_status other_refusal(const base::error& error, const append_account& account) {
    return error.reason == "append_too_large"
               ? append_too_large(account.size(), account.bytes_max(), error.message)
               : to_status(error, error.field);
}

bool about_streams(const base::error& error) {
    return error.code == base::errc::conflict || error.code == base::errc::deleted;
}

// The first stream that was not as expected. `tried`: names and expectations. A store that does not
// tell which ones were not (`unmet` is empty) names one in the error.
rpc_status session_refusal(const write_list& tried, const unmet_list& unmet,
                           const base::error& error, const append_account& account) {
    using standing = eventstore::unmet_expectation::standing;
    if (!about_streams(error) || unmet.empty()) {
        return error.reason == "tombstoned"     ? v2::stream_tombstoned(error.field)
               : error.reason == "soft_deleted" ? v2::stream_deleted(error.field)
                                                : other_refusal(error, account);
    }
    const auto& first = unmet.front();
    const stream_write& write = tried[first.write];
    switch (first.actual) {
    case standing::tombstoned:
        return v2::stream_tombstoned(write.stream);
    case standing::soft_deleted:
        return v2::stream_deleted(write.stream);
    default:
        return v2::revision_conflict(write.stream, number_of(write.expected), number_of(first));
    }
}

} // namespace

awaitable<rpc_status> streams_v2_service::append_session(call& asked) {
    append_account account(asked.make_charge(), context_.limits);
    auto writes = co_await receive_session(asked, account);
    if (!writes) {
        co_return std::move(writes.error());
    }
    if (writes->empty()) {
        co_return v2::no_requests();
    }
    const accepted_work work(asked);
    const write_list tried = outline_of(*writes);
    const auto unmet = std::make_shared<unmet_list>();
    const auto outcome = co_await append_within(context_.store, std::move(*writes),
                                                context_.write_limit, account.charge(), unmet);
    if (!outcome) {
        const bool told = about_streams(outcome.error()); // else the list may still change
        co_return session_refusal(tried, told ? *unmet : unmet_list{}, outcome.error(), account);
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

rpc_result<write_set> group_records(wire::AppendRecordsRequest& request, append_account& account,
                                    base::random_source& random) {
    write_set writes;
    std::uint32_t place = 0; // in the log the records stand as they were sent
    for (auto& record : *request.mutable_records()) {
        if (const auto fault = name_fault(record.stream())) {
            return refuse(refusal::invalid(*fault));
        }
        if (writes.find(record.stream()) == nullptr && !account.take_stream(record.stream())) {
            return refuse(refusal::too_busy());
        }
        stream_write& write = writes.find_or_add(record.stream());
        if (auto refused = add_record(record, write, account, random)) {
            return refuse(std::move(*refused));
        }
        write.events.back().place = place++;
    }
    if (writes.size() == 0) {
        return refuse(refusal::invalid("An append has at least one record."));
    }
    return writes;
}

std::vector<v2::violation>
violations_of(const unmet_list& unmet, const write_list& tried,
              const std::unordered_map<std::size_t, std::int32_t>& indexes) {
    std::vector<v2::violation> out;
    for (const auto& one : unmet) {
        const stream_write& write = tried[one.write];
        const auto found = indexes.find(one.write);
        // A stream that is written without a check has the index 0.
        out.push_back({found == indexes.end() ? 0 : found->second, write.stream,
                       number_of(write.expected), number_of(one)});
    }
    std::ranges::sort(out, {}, &v2::violation::check);
    return out;
}

wire::AppendRecordsResponse response_of(const write_list& tried, std::size_t written,
                                        const eventstore::append_outcome& outcome) {
    wire::AppendRecordsResponse response;
    response.set_position(static_cast<std::int64_t>(outcome.position.value));
    for (std::size_t i = 0; i < written; ++i) {
        auto& one = *response.add_revisions();
        one.set_stream(tried[i].stream);
        one.set_revision(
            static_cast<std::int64_t>(outcome.last_revisions[i].value_or(base::revision{0}).value));
    }
    return response;
}

} // namespace

awaitable<rpc_result<wire::AppendRecordsResponse>>
streams_v2_service::append_records(call& asked, records_request request) {
    append_account account(asked.make_charge(), context_.limits);
    const auto checks = checks_of(request, account);
    if (!checks) {
        co_return refuse(checks.error());
    }
    auto grouped = group_records(request, account, context_.random);
    if (!grouped) {
        co_return refuse(std::move(grouped.error()));
    }
    request = records_request();                 // nothing of it is held, or charged, any longer
    const std::size_t written = grouped->size(); // the others are only checked
    const auto indexes = add_checks(*checks, *grouped);
    write_list writes = grouped->take();
    const write_list tried = outline_of(writes);
    const auto unmet = std::make_shared<unmet_list>();
    const auto outcome = co_await append_within(context_.store, std::move(writes),
                                                context_.write_limit, account.charge(), unmet);
    if (outcome) {
        co_return response_of(tried, written, *outcome);
    }
    if (about_streams(outcome.error()) && !unmet->empty()) {
        co_return refuse(v2::consistency_violation(violations_of(*unmet, tried, indexes)));
    }
    co_return refuse(session_refusal(tried, {}, outcome.error(), account));
}

} // namespace immortal::esdb
