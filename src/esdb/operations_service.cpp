#include "esdb/operations_service.hpp"

#include "base/log.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/operations.grpc.pb.h"
#include "runtime/uncancelled.hpp"

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::operations;
using base::errc;
using nothing = ::event_store::client::Empty;

constexpr int threads_max = 8;

rpc_status scavenge_unknown(const std::string& id) {
    return {grpc::StatusCode::NOT_FOUND,
            "Scavenge id was invalid.",
            {{"exception", "scavenge-not-found"}, {"scavenge-id", id}}};
}

wire::ScavengeResp scavenge_answer(const std::string& id,
                                   wire::ScavengeResp::ScavengeResult result) {
    wire::ScavengeResp out;
    out.set_scavenge_id(id);
    out.set_scavenge_result(result);
    return out;
}

} // namespace

struct operations_service::state {
    state(service_context context_in, operations_hooks hooks_in)
        : context(context_in), hooks(std::move(hooks_in)) {}

    // Empty: go on.
    awaitable<std::optional<rpc_status>> check(call& asked) {
        const auto may = co_await context.rules.may_operate(asked.caller(), operation::operations);
        co_return may ? std::nullopt : std::optional(to_status(may.error(), {}));
    }

    awaitable<rpc_result<wire::ScavengeResp>> start_scavenge(call& asked,
                                                             wire::StartScavengeReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        if (hooks.scavenges == nullptr) {
            co_return refuse(no_log());
        }
        const auto& options = request.options();
        if (options.thread_count() < 0 || options.thread_count() > threads_max ||
            options.start_from_chunk() < 0) {
            co_return refuse(refusal::invalid(
                "thread_count must be 0 to 8 and start_from_chunk must not be negative."));
        }
        auto id = hooks.scavenges->start(
            {.threads = static_cast<std::size_t>(std::max(options.thread_count(), 1)),
             .from_segment = static_cast<std::uint32_t>(options.start_from_chunk())});
        if (!id && id.error().code == errc::already_exists) {
            co_return scavenge_answer(hooks.scavenges->status().id, wire::ScavengeResp::InProgress);
        }
        if (!id) {
            co_return refuse(to_status(id.error(), {}));
        }
        co_return scavenge_answer(*id, wire::ScavengeResp::Started);
    }

    awaitable<rpc_result<wire::ScavengeResp>> stop_scavenge(call& asked,
                                                            wire::StopScavengeReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const std::string& id = request.options().scavenge_id();
        if (hooks.scavenges == nullptr || !hooks.scavenges->stop(id)) {
            co_return refuse(scavenge_unknown(id));
        }
        co_return scavenge_answer(id, wire::ScavengeResp::Stopped);
    }

    awaitable<rpc_result<nothing>> shutdown(call& asked, nothing /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        if (!hooks.shut_down) {
            co_return refuse({grpc::StatusCode::FAILED_PRECONDITION,
                              "This server is not shut down by a client."});
        }
        base::log_info("esdb", "shutting down, as a client asked", {{"user", asked.caller().name}});
        hooks.shut_down();
        co_return nothing{};
    }

    awaitable<rpc_result<nothing>> restart_subscriptions(call& asked, nothing /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        if (hooks.restart_subscriptions) {
            if (auto done = co_await runtime::to_its_end(hooks.restart_subscriptions()); !done) {
                co_return refuse(to_status(done.error(), {}));
            }
        }
        co_return nothing{};
    }

    // Nothing to merge, resign or prefer: the index keeps itself, and there is one node.
    template <typename Request>
    awaitable<rpc_result<nothing>> nothing_to_do(call& asked, Request /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        co_return nothing{};
    }

    static rpc_status no_log() {
        return {grpc::StatusCode::FAILED_PRECONDITION,
                "This server keeps no log of its own: scavenge the store it stands on."};
    }

    service_context context;
    operations_hooks hooks;
};

operations_service::operations_service(service_context context, operations_hooks hooks)
    : state_(std::make_unique<state>(context, std::move(hooks))) {}

operations_service::~operations_service() = default;

void operations_service::add_to(method_table& methods) {
    const auto name = wire::Operations::service_full_name();
    const auto add = [&](std::string_view method, auto answer) {
        methods.add(name, method,
                    {.serve = unary(state_.get(), answer),
                     .access = access_rule::operating(operation::operations)});
    };
    add("StartScavenge", &state::start_scavenge);
    add("StopScavenge", &state::stop_scavenge);
    add("Shutdown", &state::shutdown);
    add("RestartPersistentSubscriptions", &state::restart_subscriptions);
    add("MergeIndexes", &state::nothing_to_do<nothing>);
    add("ResignNode", &state::nothing_to_do<nothing>);
    add("SetNodePriority", &state::nothing_to_do<wire::SetNodePriorityReq>);
}

} // namespace immortal::esdb
