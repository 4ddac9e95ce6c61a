#include "esdb/node_services.hpp"

#include "esdb/typed_call.hpp"
#include "esproto/convert.hpp"
#include "esproto/wire/gossip.grpc.pb.h"
#include "esproto/wire/monitoring.grpc.pb.h"
#include "runtime/deadline.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <unistd.h>

namespace immortal::esdb {

namespace gossip_wire = ::event_store::client::gossip;
namespace stats_wire = ::event_store::client::monitoring;

namespace {

constexpr std::uint64_t period_min_ms = 100;
constexpr std::uint64_t period_max_ms = 86'400'000;

std::string memory_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    file >> total >> resident;
    return std::to_string(resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
}

std::string_view state_text(eventstore::write_state state) {
    switch (state) {
    case eventstore::write_state::writable:
        return "writable";
    case eventstore::write_state::disk_full:
        return "disk_full";
    case eventstore::write_state::sync_failed:
        return "sync_failed";
    case eventstore::write_state::stopping:
        return "stopping";
    default:
        return "unreachable";
    }
}

} // namespace

std::pair<std::string, std::uint16_t> split_authority(std::string_view authority) {
    const auto colon = authority.rfind(':');
    const auto bracket = authority.rfind(']');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    std::string_view host = has_port ? authority.substr(0, colon) : authority;
    std::uint16_t port = 0;
    if (has_port) {
        (void)std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(),
                              port);
    }
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    return {std::string(host), port};
}

node_services::node_services(service_context context, settings options)
    : context_(context), settings_(std::move(options)),
      instance_(base::uuid::make_random(context.random)), started_(context.clock.now()) {}

void node_services::add_to(method_table& methods) {
    methods.add(
        gossip_wire::Gossip::service_full_name(), "Read",
        {.serve = unasked<gossip_wire::ClusterInfo>([this](call& asked) { return gossip(asked); }),
         .access = access_rule::everybody()});
    methods.add(stats_wire::Monitoring::service_full_name(), "Stats",
                {.serve = [this](call& asked) { return stats(asked); },
                 .access = access_rule::operating(operation::statistics),
                 .kind = call_kind::lasting,
                 .lasting = duration::lasts});
}

awaitable<rpc_result<gossip_wire::ClusterInfo>> node_services::gossip(call& asked) {
    gossip_wire::ClusterInfo all;
    gossip_wire::MemberInfo& one = *all.add_members();
    esproto::write_uuid(instance_, esproto::uuid_form::string, *one.mutable_instance_id());
    one.set_time_stamp(esproto::ticks(context_.clock.now()));
    one.set_state(gossip_wire::MemberInfo::Leader);
    one.set_is_alive(true);
    const auto [host, port] = split_authority(asked.headers().authority);
    const bool advertised = !settings_.advertised_host.empty();
    one.mutable_http_end_point()->set_address(advertised ? settings_.advertised_host : host);
    one.mutable_http_end_point()->set_port(advertised || port == 0 ? settings_.advertised_port
                                                                   : port);
    co_return all;
}

awaitable<rpc_status> node_services::stats(call& asked) {
    const auto request = co_await receive_only<stats_wire::StatsReq>(asked);
    if (!request) {
        co_return request.error();
    }
    const std::chrono::milliseconds period(
        std::clamp(request->refresh_time_period_in_ms(), period_min_ms, period_max_ms));
    for (;;) {
        stats_wire::StatsResp message;
        auto& figures = *message.mutable_stats();
        figures["proc-id"] = std::to_string(getpid());
        figures["proc-startTime"] = base::iso_text(started_);
        figures["proc-mem"] = memory_bytes();
        figures["es-log-head"] =
            context_.store.head() ? std::to_string(context_.store.head()->value) : "";
        figures["es-writer-state"] = std::string(state_text(context_.store.state()));
        figures["es-unfinished-bytes-left"] = std::to_string(context_.callers.bytes_left());
        if (!co_await send(asked, message)) {
            co_return rpc_status{};
        }
        (void)co_await runtime::wait_for(period);
    }
}

} // namespace immortal::esdb
