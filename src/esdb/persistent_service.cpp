#include "esdb/persistent_service.hpp"

#include "esdb/group_requests.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/persistent_subscriptions.grpc.pb.h"
#include "runtime/uncancelled.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <limits>
#include <map>

namespace immortal::esdb {
namespace {

namespace wire = groups_wire;
using nothing = ::event_store::client::Empty;

// Counters fit the protocol's integers.
template <typename Out, typename In>
Out fitting(In value) {
    return static_cast<Out>(std::min<std::uint64_t>(
        value, static_cast<std::uint64_t>(std::numeric_limits<Out>::max())));
}

void write_settings(const group_settings& in, wire::SubscriptionInfo& out) {
    out.set_resolve_link_tos(in.resolve_links);
    out.set_extra_statistics(in.extra_statistics);
    out.set_message_timeout_milliseconds(static_cast<std::int32_t>(in.message_timeout.count()));
    out.set_check_point_after_milliseconds(static_cast<std::int32_t>(in.checkpoint_after.count()));
    out.set_max_retry_count(in.max_retry_count);
    out.set_live_buffer_size(in.live_buffer_size);
    out.set_buffer_size(in.history_buffer_size);
    out.set_read_batch_size(in.read_batch_size);
    out.set_min_check_point_count(in.min_checkpoint_count);
    out.set_max_check_point_count(in.max_checkpoint_count);
    out.set_max_subscriber_count(in.max_subscriber_count);
    out.set_named_consumer_strategy(std::string(name_of(in.strategy)));
}

void write_connection(const connection_status& in, wire::SubscriptionInfo::ConnectionInfo& out) {
    out.set_from(in.identity.from);
    out.set_username(in.identity.user);
    out.set_connection_name(in.identity.connection_name);
    out.set_total_items(fitting<std::int64_t>(in.total_items));
    out.set_count_since_last_measurement(fitting<std::int64_t>(in.items_since_last));
    out.set_average_items_per_second(fitting<std::int32_t>(in.items_per_second));
    out.set_available_slots(fitting<std::int32_t>(in.available_slots));
    out.set_in_flight_messages(fitting<std::int32_t>(in.in_flight));
    for (const auto& [key, value] : in.measurements) {
        auto& measured = *out.add_observed_measurements();
        measured.set_key(key);
        measured.set_value(value);
    }
}

void write_info(const group_status& in, wire::SubscriptionInfo& out) {
    const bool all = in.definition.of_all();
    const auto text = [all](const std::optional<std::uint64_t>& place) {
        return place ? place_text(*place, all) : std::string();
    };
    write_settings(in.definition.settings, out);
    out.set_event_source(in.definition.stream);
    out.set_group_name(in.definition.group);
    out.set_status(in.state);
    out.set_start_from(start_text(in.definition.start, all));
    for (const connection_status& one : in.connections) {
        write_connection(one, *out.add_connections());
    }
    out.set_total_items(fitting<std::int64_t>(in.total_items));
    out.set_count_since_last_measurement(fitting<std::int64_t>(in.items_since_last));
    out.set_average_per_second(fitting<std::int32_t>(in.items_per_second));
    out.set_last_checkpointed_event_position(text(in.checkpoint));
    out.set_last_known_event_position(text(in.last_known));
    out.set_read_buffer_count(fitting<std::int32_t>(in.read_buffer));
    out.set_live_buffer_count(fitting<std::int64_t>(in.live_buffer));
    out.set_retry_buffer_count(fitting<std::int32_t>(in.retry_buffer));
    out.set_total_in_flight_messages(fitting<std::int32_t>(in.in_flight));
    out.set_outstanding_messages_count(fitting<std::int32_t>(in.in_flight));
    out.set_parked_message_count(fitting<std::int64_t>(in.parked));
}

// The options name the group; answers that follow name nothing.
stream_needs needs_of_consumer(const wire::ReadReq& request) {
    const group_name name = name_of_group(request.options());
    const bool named = request.has_options() && !refuse_name(request.options());
    return named && !name.stream.empty() ? stream_needs{{name.stream, stream_right::read}}
                                         : stream_needs{};
}

class persistent_service {
public:
    persistent_service(authorizer& rules, group_registry& groups)
        : rules_(rules), groups_(groups) {}

    awaitable<rpc_result<wire::CreateResp>> create(call& asked, wire::CreateReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        auto definition = plan_create(request);
        if (!definition) {
            co_return refuse(std::move(definition.error()));
        }
        const group_name name{definition->stream, definition->group};
        const auto done = co_await runtime::to_its_end(
            groups_.create(std::move(*definition), asked.caller().name));
        co_return answer<wire::CreateResp>(done, name);
    }

    awaitable<rpc_result<wire::UpdateResp>> update(call& asked, wire::UpdateReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        auto definition = plan_update(request);
        if (!definition) {
            co_return refuse(std::move(definition.error()));
        }
        const group_name name{definition->stream, definition->group};
        if (auto known = groups_.find(name.key())) {
            keep_strategy(**known, request, *definition);
        }
        const auto done = co_await runtime::to_its_end(
            groups_.update(std::move(*definition), asked.caller().name));
        co_return answer<wire::UpdateResp>(done, name);
    }

    awaitable<rpc_result<wire::DeleteResp>> remove(call& asked, wire::DeleteReq request) {
        if (auto refused = co_await check(asked, request.options())) {
            co_return refuse(std::move(*refused));
        }
        const group_name name = name_of_group(request.options());
        const auto done =
            co_await runtime::to_its_end(groups_.remove(name.key(), asked.caller().name));
        co_return answer<wire::DeleteResp>(done, name);
    }

    awaitable<rpc_result<wire::GetInfoResp>> get_info(call& asked, wire::GetInfoReq request) {
        if (auto refused = co_await check(asked, request.options())) {
            co_return refuse(std::move(*refused));
        }
        const group_name name = name_of_group(request.options());
        const auto group = groups_.find(name.key());
        if (!group) {
            co_return refuse(to_group_status(group.error(), name));
        }
        wire::GetInfoResp out;
        write_info((*group)->status(), *out.mutable_subscription_info());
        if (!co_await may_read(asked, name.stream)) {
            hide_source(*out.mutable_subscription_info());
        }
        co_return out;
    }

    awaitable<rpc_result<wire::ReplayParkedResp>> replay(call& asked,
                                                         wire::ReplayParkedReq request) {
        const auto& options = request.options();
        if (auto refused = co_await check(asked, options)) {
            co_return refuse(std::move(*refused));
        }
        const group_name name = name_of_group(options);
        const auto group = groups_.find(name.key());
        if (!group) {
            co_return refuse(to_group_status(group.error(), name));
        }
        const bool limited =
            options.stop_at_option_case() == wire::ReplayParkedReq::Options::kStopAt;
        if (limited && options.stop_at() < 0) {
            co_return refuse(
                refusal::group_failed(name, "Cannot stop replaying at a negative number."));
        }
        (*group)->replay(limited ? std::optional(static_cast<std::uint64_t>(options.stop_at()))
                                 : std::nullopt);
        co_return wire::ReplayParkedResp{};
    }

    awaitable<rpc_result<wire::ListResp>> list(call& asked, wire::ListReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const auto& options = request.options();
        std::optional<std::string> stream;
        if (options.has_list_for_stream()) {
            const auto& wanted = options.list_for_stream();
            stream = wanted.has_all() ? all_stream : wanted.stream().stream_name();
        }
        const auto groups = groups_.all();
        if (!groups) {
            co_return refuse(to_status(groups.error(), stream.value_or("")));
        }
        wire::ListResp out;
        std::map<std::string, bool> readable; // streams
        for (const auto& one : *groups) {
            const std::string source = one->definition().stream;
            if (stream && source != *stream) {
                continue;
            }
            const auto [known, is_new] = readable.try_emplace(source, false);
            if (is_new) {
                known->second = co_await may_read(asked, source);
            }
            write_info(one->status(), *out.add_subscriptions());
            if (!known->second) {
                hide_source(*out.mutable_subscriptions()->rbegin());
            }
        }
        if (stream && out.subscriptions().empty()) {
            co_return refuse(refusal::group_missing({*stream, ""}));
        }
        co_return out;
    }

    awaitable<rpc_result<nothing>> restart(call& asked, nothing /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const auto done = co_await runtime::to_its_end(groups_.restart());
        co_return done ? rpc_result<nothing>(nothing{}) : refuse(to_status(done.error(), ""));
    }

    awaitable<rpc_status> read(call& asked) { return serve_consumer(asked, rules_, groups_); }

private:
    // To manage a group is not to read its stream.
    awaitable<bool> may_read(call& asked, std::string stream) {
        const auto may = co_await rules_.may_access(asked.caller(), stream_right::read, stream);
        co_return may.has_value();
    }
    static void hide_source(wire::SubscriptionInfo& info) {
        info.clear_last_known_event_position();
        info.clear_last_checkpointed_event_position();
    }
    // Empty: go on.
    awaitable<std::optional<rpc_status>> check(call& asked) {
        const auto may =
            co_await rules_.may_operate(asked.caller(), operation::persistent_subscriptions);
        co_return may ? std::nullopt : std::optional(to_status(may.error(), {}));
    }
    template <typename Options>
    awaitable<std::optional<rpc_status>> check(call& asked, const Options& options) {
        auto refused = co_await check(asked);
        co_return refused ? std::move(refused) : refuse_name(options);
    }

    template <typename Response>
    static rpc_result<Response> answer(const base::status& done, const group_name& name) {
        return done ? rpc_result<Response>(Response{})
                    : refuse(to_group_status(done.error(), name));
    }

    // An update cannot name PinnedByCorrelation: such a group keeps its strategy unless another one
    // than the first of the numbers is asked for.
    static void keep_strategy(const group_runner& known, const wire::UpdateReq& request,
                              group_definition& definition) {
        const auto now = known.definition().settings.strategy;
        if (now == consumer_strategy::pinned_by_correlation &&
            request.options().settings().named_consumer_strategy() ==
                wire::UpdateReq::DispatchToSingle) {
            definition.settings.strategy = now;
        }
    }

    authorizer& rules_;
    group_registry& groups_;
};

} // namespace

void add_persistent_subscriptions(method_table& methods, authorizer& rules,
                                  group_registry& groups) {
    const auto service = std::make_shared<persistent_service>(rules, groups);
    const auto name = wire::PersistentSubscriptions::service_full_name();
    const std::vector<std::string> features{"stream", "all"};
    const auto add = [&](std::string_view method, auto answer) {
        methods.add(name, method,
                    {.serve = unary(service, answer),
                     .access = access_rule::operating(operation::persistent_subscriptions),
                     .features = features});
    };
    add("Create", &persistent_service::create);
    add("Update", &persistent_service::update);
    add("Delete", &persistent_service::remove);
    add("GetInfo", &persistent_service::get_info);
    add("ReplayParked", &persistent_service::replay);
    add("List", &persistent_service::list);
    add("RestartSubsystem", &persistent_service::restart);
    methods.add(name, "Read",
                {.serve = [service](call& asked) { return service->read(asked); },
                 .access = stream_rule<wire::ReadReq, needs_of_consumer>(),
                 .kind = call_kind::lasting,
                 .receives = intake::small_messages,
                 .lasting = duration::lasts,
                 .features = features});
}

} // namespace immortal::esdb
