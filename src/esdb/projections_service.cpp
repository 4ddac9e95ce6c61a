#include "esdb/projections_service.hpp"

#include "esdb/typed_call.hpp"
#include "esproto/wire/projections.grpc.pb.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::projections;
using nothing = ::event_store::client::Empty;

constexpr std::array<std::string_view, 5> system_projections{
    "$by_category", "$by_correlation_id", "$by_event_type", "$stream_by_category", "$streams"};

bool is_system(std::string_view name) {
    return std::ranges::find(system_projections, name) != system_projections.end();
}

rpc_status unknown_projection(const std::string& name) {
    return refusal::not_found(fmt::format("Projection '{}' not found", name));
}

rpc_status always_running(const std::string& name) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            fmt::format("Projection '{}' is a view over the index: it always runs and cannot be "
                        "changed.",
                        name)};
}

class projections_service {
public:
    projections_service(authorizer& rules, eventstore::event_store& store)
        : rules_(rules), store_(store) {}

    awaitable<rpc_result<wire::CreateResp>> create(call& asked, wire::CreateReq /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        co_return refuse({grpc::StatusCode::UNIMPLEMENTED,
                          "Projections of your own are not supported yet: only the system "
                          "projections run."});
    }

    awaitable<rpc_result<wire::EnableResp>> enable(call& asked, wire::EnableReq request) {
        co_return co_await keep_running<wire::EnableResp>(asked, request.options().name());
    }

    // Nothing to set back: a view has no state.
    awaitable<rpc_result<wire::ResetResp>> reset(call& asked, wire::ResetReq request) {
        co_return co_await keep_running<wire::ResetResp>(asked, request.options().name());
    }

    awaitable<rpc_result<wire::DisableResp>> disable(call& asked, wire::DisableReq request) {
        co_return co_await refuse_change<wire::DisableResp>(asked, request.options().name());
    }

    awaitable<rpc_result<wire::UpdateResp>> update(call& asked, wire::UpdateReq request) {
        co_return co_await refuse_change<wire::UpdateResp>(asked, request.options().name());
    }

    awaitable<rpc_result<wire::DeleteResp>> remove(call& asked, wire::DeleteReq request) {
        co_return co_await refuse_change<wire::DeleteResp>(asked, request.options().name());
    }

    // System projections have no state: an empty object.
    awaitable<rpc_result<wire::StateResp>> state(call& asked, wire::StateReq request) {
        auto kept = co_await keep_running<wire::StateResp>(asked, request.options().name());
        if (kept) {
            kept->mutable_state()->mutable_struct_value();
        }
        co_return kept;
    }

    awaitable<rpc_result<wire::ResultResp>> result(call& asked, wire::ResultReq request) {
        auto kept = co_await keep_running<wire::ResultResp>(asked, request.options().name());
        if (kept) {
            kept->mutable_result()->mutable_struct_value();
        }
        co_return kept;
    }

    awaitable<rpc_result<nothing>> restart(call& asked, nothing /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        co_return nothing{};
    }

    awaitable<rpc_status> statistics(call& asked) {
        using options = wire::StatisticsReq::Options;
        auto request = co_await receive_only<wire::StatisticsReq>(asked);
        if (!request) {
            co_return std::move(request.error());
        }
        if (auto refused = co_await check(asked)) {
            co_return std::move(*refused);
        }
        const auto mode = request->options().mode_case();
        const std::string& name = request->options().name();
        if (mode == options::MODE_NOT_SET) {
            co_return refusal::invalid("The mode of a statistics request is required.");
        }
        if (mode == options::kName && !is_system(name)) {
            co_return unknown_projection(name);
        }
        if (mode == options::kTransient || mode == options::kOneTime) {
            co_return rpc_status{};
        }
        for (const std::string_view each : system_projections) {
            if (mode == options::kName && each != name) {
                continue;
            }
            if (!co_await send(asked, statistics_of(each))) {
                break;
            }
        }
        co_return rpc_status{};
    }

private:
    awaitable<std::optional<rpc_status>> check(call& asked) {
        const auto may = co_await rules_.may_operate(asked.caller(), operation::projections);
        co_return may ? std::nullopt : std::optional(to_status(may.error(), {}));
    }

    template <typename Response>
    awaitable<rpc_result<Response>> keep_running(call& asked, std::string name) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        if (!is_system(name)) {
            co_return refuse(unknown_projection(name));
        }
        co_return Response{};
    }

    template <typename Response>
    awaitable<rpc_result<Response>> refuse_change(call& asked, std::string name) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        co_return refuse(is_system(name) ? always_running(name) : unknown_projection(name));
    }

    [[nodiscard]] wire::StatisticsResp statistics_of(std::string_view name) const {
        const auto head = store_.head();
        const std::string position =
            head ? fmt::format("C:{0}/P:{0}", head->value) : std::string("C:0/P:0");
        wire::StatisticsResp out;
        auto& details = *out.mutable_details();
        details.set_name(std::string(name));
        details.set_effectivename(std::string(name));
        details.set_status("Running");
        details.set_mode("Continuous");
        details.set_position(position);
        details.set_lastcheckpoint(position);
        details.set_progress(100);
        return out;
    }

    authorizer& rules_;
    eventstore::event_store& store_;
};

} // namespace

void add_projections(method_table& methods, authorizer& rules, eventstore::event_store& store) {
    const auto service = std::make_shared<projections_service>(rules, store);
    const auto name = wire::Projections::service_full_name();
    const auto add = [&](std::string_view method, auto answer,
                         std::vector<std::string> features = {}) {
        methods.add(name, method,
                    {.serve = unary(service, answer),
                     .access = access_rule::operating(operation::projections),
                     .features = std::move(features)});
    };
    add("Create", &projections_service::create, {"track_emitted_streams"});
    add("Update", &projections_service::update);
    add("Delete", &projections_service::remove);
    add("Disable", &projections_service::disable);
    add("Enable", &projections_service::enable);
    add("Reset", &projections_service::reset);
    add("State", &projections_service::state);
    add("Result", &projections_service::result);
    add("RestartSubsystem", &projections_service::restart);
    methods.add(name, "Statistics",
                {.serve = [service](call& asked) { return service->statistics(asked); },
                 .access = access_rule::operating(operation::projections)});
}

} // namespace immortal::esdb
