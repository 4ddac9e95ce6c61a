#include "esdb/group_requests.hpp"

#include "esproto/convert.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

namespace immortal::esdb {
namespace {

constexpr std::int64_t ticks_per_ms = 10'000;
constexpr std::size_t name_size_max = 400; // of stream and group: their names become stream names

rpc_result<group_start> place_to_start(std::uint64_t place) {
    if (!esproto::is_legal(place)) {
        return refuse(refusal::invalid("A revision or position is at most 9223372036854775807."));
    }
    if (place == esproto::end_value) {
        return group_start{group_start::kind::end};
    }
    return place == 0 ? group_start{} : group_start{group_start::kind::place, place};
}

template <typename Options>
rpc_result<group_start> start_of(const Options& in) {
    if (in.has_all()) {
        const auto& all = in.all();
        if (all.has_position()) {
            if (!esproto::is_legal(all.position().commit_position(),
                                   all.position().prepare_position())) {
                return refuse(
                    refusal::invalid("The commit position must be at least the prepare position."));
            }
            return place_to_start(all.position().commit_position());
        }
        return group_start{all.has_end() ? group_start::kind::end : group_start::kind::start};
    }
    if (!in.has_stream()) { // clients before stream_option
        return place_to_start(in.settings().revision());
    }
    if (in.stream().revision_option_case() == std::decay_t<decltype(in.stream())>::kRevision) {
        return place_to_start(in.stream().revision());
    }
    return group_start{in.stream().has_end() ? group_start::kind::end : group_start::kind::start};
}

template <typename Settings>
group_settings settings_of(const Settings& in) {
    const auto bounded = [](std::int64_t ms) {
        return std::chrono::milliseconds(
            std::min<std::int64_t>(ms, std::numeric_limits<std::int32_t>::max()));
    };
    group_settings out;
    out.resolve_links = in.resolve_links();
    out.extra_statistics = in.extra_statistics();
    out.message_timeout = bounded(in.message_timeout_case() == Settings::kMessageTimeoutMs
                                      ? in.message_timeout_ms()
                                      : in.message_timeout_ticks() / ticks_per_ms);
    out.checkpoint_after = bounded(in.checkpoint_after_case() == Settings::kCheckpointAfterMs
                                       ? in.checkpoint_after_ms()
                                       : in.checkpoint_after_ticks() / ticks_per_ms);
    out.max_retry_count = in.max_retry_count();
    out.min_checkpoint_count = in.min_checkpoint_count();
    out.max_checkpoint_count = in.max_checkpoint_count();
    out.max_subscriber_count = in.max_subscriber_count();
    out.live_buffer_size = in.live_buffer_size();
    out.read_batch_size = in.read_batch_size();
    out.history_buffer_size = in.history_buffer_size();
    return out;
}

std::optional<consumer_strategy> numbered_strategy(int number) {
    constexpr std::array all{consumer_strategy::dispatch_to_single, consumer_strategy::round_robin,
                             consumer_strategy::pinned};
    return number >= 0 && number < 3 ? std::optional(all.at(static_cast<std::size_t>(number)))
                                     : std::nullopt;
}

rpc_result<eventstore::all_filter>
filter_of(const groups_wire::CreateReq::AllOptions::FilterOptions& in) {
    const bool by_stream = in.has_stream_identifier();
    const auto& expression = by_stream ? in.stream_identifier() : in.event_type();
    if (expression.regex().empty() && expression.prefix().empty()) {
        return refuse(refusal::invalid("A filter has an expression or a prefix."));
    }
    eventstore::all_filter out;
    (by_stream ? out.stream_expression : out.type_expression) = expression.regex();
    if (expression.regex().empty()) {
        (by_stream ? out.stream_prefixes : out.type_prefixes)
            .assign(expression.prefix().begin(), expression.prefix().end());
    }
    return out;
}

template <typename Options>
rpc_result<group_definition> plan(const Options& in) {
    group_definition out;
    out.stream = in.has_all()      ? std::string(all_stream)
                 : in.has_stream() ? in.stream().stream_identifier().stream_name()
                                   : in.stream_identifier().stream_name();
    out.group = in.group_name();
    const group_name name{out.stream, out.group};
    if (!in.has_all() && out.stream == all_stream) {
        return refuse(refusal::group_failed(name, "$all is not the name of a stream."));
    }
    for (const std::string* text : {&out.stream, &out.group}) {
        if (text->empty() || text->size() > name_size_max) {
            return refuse(refusal::group_failed(
                name, fmt::format("A stream or group name has 1 to {} bytes.", name_size_max)));
        }
    }
    auto start = start_of(in);
    if (!start) {
        return refuse(std::move(start.error()));
    }
    out.start = *start;
    out.settings = settings_of(in.settings());
    std::optional<consumer_strategy> strategy =
        numbered_strategy(static_cast<int>(in.settings().named_consumer_strategy()));
    std::string strategy_text =
        std::to_string(static_cast<int>(in.settings().named_consumer_strategy()));
    if constexpr (requires { in.settings().consumer_strategy(); }) {
        if (!in.settings().consumer_strategy().empty()) {
            strategy_text = in.settings().consumer_strategy();
            strategy = strategy_named(strategy_text);
        }
    }
    if (!strategy) {
        return refuse(refusal::group_failed(
            name, fmt::format("Consumer strategy {} does not exist.", strategy_text)));
    }
    out.settings.strategy = *strategy;
    return out;
}

} // namespace

rpc_result<group_definition> plan_create(const groups_wire::CreateReq& in) {
    auto out = plan(in.options());
    if (out && in.options().has_all() && in.options().all().has_filter()) {
        auto filter = filter_of(in.options().all().filter());
        if (!filter) {
            return refuse(std::move(filter.error()));
        }
        out->filter = std::move(*filter);
    }
    return out;
}

rpc_result<group_definition> plan_update(const groups_wire::UpdateReq& in) {
    return plan(in.options());
}

} // namespace immortal::esdb
