#include "esdb/read_plan.hpp"

#include "esproto/wire/streams.pb.h"

#include <fmt/format.h>

namespace immortal::esdb {
namespace {

using request = ::event_store::client::streams::ReadReq;
using options = request::Options;
using filter_options = options::FilterOptions;

constexpr std::uint64_t default_window = 32;
constexpr std::string_view index_prefix = "$idx-";

rpc_status illegal(const options& in) {
    const auto name = [](int number, auto... names) {
        const char* all[] = {"none", names...};
        return std::string(all[number]);
    };
    return refusal::invalid(fmt::format(
        "The combination of ({}, {}, {}, {}) is invalid.",
        in.stream_option_case() == options::kAll      ? "all"
        : in.stream_option_case() == options::kStream ? "stream"
                                                      : "none",
        in.count_option_case() == options::kCount          ? "count"
        : in.count_option_case() == options::kSubscription ? "subscription"
                                                           : "none",
        name(in.read_direction() == options::Backwards ? 2 : 1, "forwards", "backwards"),
        in.filter_option_case() == options::kFilter     ? "filter"
        : in.filter_option_case() == options::kNoFilter ? "no_filter"
                                                        : "none"));
}

bool is_legal_combination(const options& in) {
    const bool stream = in.stream_option_case() == options::kStream;
    const bool all = in.stream_option_case() == options::kAll;
    const bool no_filter = in.filter_option_case() == options::kNoFilter;
    const bool filter = in.filter_option_case() == options::kFilter;
    const bool subscription = in.count_option_case() == options::kSubscription;
    const bool count = in.count_option_case() == options::kCount;
    const bool known_way = in.read_direction() == options::Forwards ||
                           (in.read_direction() == options::Backwards && count);
    return known_way && (count || subscription) &&
           ((stream && no_filter) || (all && (no_filter || filter)));
}

base::status take_place(std::uint64_t value, read_plan& plan) {
    if (!esproto::is_legal(value)) {
        return base::fail(base::errc::invalid_argument,
                          "A revision or position is at most 9223372036854775807.");
    }
    plan.from = value == esproto::end_value ? read_from::end : read_from::place;
    plan.place = value;
    return {};
}

base::status take_stream(const options::StreamOptions& in, read_plan& plan) {
    plan.stream = in.stream_identifier().stream_name();
    if (plan.stream.empty() || plan.stream.size() > eventlog::stream_name_size_max) {
        return base::fail(base::errc::invalid_argument, "A stream name has 1 to 1024 bytes.");
    }
    switch (in.revision_option_case()) {
    case options::StreamOptions::kRevision:
        return take_place(in.revision(), plan);
    case options::StreamOptions::kStart:
        plan.from = read_from::start;
        return {};
    case options::StreamOptions::kEnd:
        plan.from = read_from::end;
        return {};
    default:
        return base::fail(base::errc::invalid_argument, "The revision to read from is missing.");
    }
}

base::status take_all(const options::AllOptions& in, read_plan& plan) {
    plan.all = true;
    switch (in.all_option_case()) {
    case options::AllOptions::kPosition:
        if (!esproto::is_legal(in.position().commit_position(), in.position().prepare_position())) {
            return base::fail(base::errc::invalid_argument,
                              "The commit position must be at least the prepare position.");
        }
        return take_place(in.position().commit_position(), plan);
    case options::AllOptions::kStart:
        plan.from = read_from::start;
        return {};
    case options::AllOptions::kEnd:
        plan.from = read_from::end;
        return {};
    default:
        return base::fail(base::errc::invalid_argument, "The position to read from is missing.");
    }
}

rpc_result<read_plan::filtering> take_filter(const filter_options& in, bool subscribe) {
    read_plan::filtering out;
    const bool by_stream = in.filter_case() == filter_options::kStreamIdentifier;
    if (!by_stream && in.filter_case() != filter_options::kEventType) {
        return refuse(refusal::invalid("The filter is missing."));
    }
    const auto& expression = by_stream ? in.stream_identifier() : in.event_type();
    if (expression.regex().empty() && expression.prefix().empty()) {
        return refuse(refusal::invalid("A filter has an expression or a prefix."));
    }
    std::vector<std::string> prefixes;
    if (expression.regex().empty()) {
        prefixes.assign(expression.prefix().begin(), expression.prefix().end());
    }
    if (by_stream && prefixes.size() == 1 && prefixes.front().starts_with(index_prefix)) {
        rpc_status status = refusal::not_found("Index '" + prefixes.front() + "' is not found.");
        status.trailers = {{"exception", "index-not-found"}, {"index-name", prefixes.front()}};
        return refuse(std::move(status));
    }
    (by_stream ? out.filter.stream_expression : out.filter.type_expression) = expression.regex();
    (by_stream ? out.filter.stream_prefixes : out.filter.type_prefixes) = std::move(prefixes);
    std::uint64_t window = default_window;
    if (in.window_case() == filter_options::kMax) {
        window = in.max();
    } else if (in.window_case() != filter_options::kCount) {
        return refuse(refusal::invalid("The filter's window is missing."));
    }
    out.checkpoint_interval = window * in.checkpointintervalmultiplier();
    if (subscribe && out.checkpoint_interval == 0) {
        return refuse(refusal::invalid("The checkpoint interval must be greater than 0."));
    }
    return out;
}

} // namespace

rpc_result<read_plan> plan_read(const request& message) {
    const options& in = message.options();
    if (!is_legal_combination(in)) {
        return refuse(illegal(in));
    }
    read_plan plan;
    plan.subscribe = in.count_option_case() == options::kSubscription;
    plan.way = in.read_direction() == options::Backwards ? eventstore::direction::backwards
                                                         : eventstore::direction::forwards;
    plan.count = in.count();
    plan.resolve_links = in.resolve_links();
    plan.tell_ends = in.control_option().compatibility() >= 1;
    plan.form = in.uuid_option().content_case() == options::UUIDOption::kString
                    ? esproto::uuid_form::string
                    : esproto::uuid_form::structured;
    if (!plan.subscribe && plan.count == 0) {
        return refuse(refusal::invalid("The number of events to read must be greater than 0."));
    }
    const auto taken = in.stream_option_case() == options::kAll ? take_all(in.all(), plan)
                                                                : take_stream(in.stream(), plan);
    if (!taken) {
        return refuse(refusal::invalid(taken.error().message));
    }
    if (in.filter_option_case() == options::kFilter) {
        auto filter = take_filter(in.filter(), plan.subscribe);
        if (!filter) {
            return refuse(std::move(filter.error()));
        }
        plan.filter = std::move(*filter);
    }
    return plan;
}

bool shown_in_all(const eventstore::recorded_event& event) {
    const std::string& stream = event.stream;
    if (!stream.starts_with('$')) {
        return true;
    }
    return stream != "$epoch-information" &&
           !(stream.starts_with("$persistentsubscription-$all::") &&
             (stream.ends_with("-checkpoint") || stream.ends_with("-parked")));
}

} // namespace immortal::esdb
