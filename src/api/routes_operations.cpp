#include "api/request_checks.hpp"
#include "api/route_building.hpp"
#include "api/routes.hpp"
#include "eventstore/event_store.hpp"
#include "postgres/database.hpp"
#include "readmodel/progress.hpp"
#include "redis/client.hpp"

#include <algorithm>

namespace immortal::api {
namespace {

using base::result;
using condition = component::condition;
using eventstore::write_state;

component::report store_report(const services& uses) {
    switch (uses.store.state()) {
    case write_state::writable:
        return {condition::ok, "writable"};
    case write_state::disk_full:
        return {condition::failed, "disk_full"};
    case write_state::sync_failed:
        return {condition::failed, "sync_failed"};
    case write_state::stopping:
        return {condition::failed, "stopping"};
    case write_state::unreachable:
        return {condition::failed, "unreachable"};
    }
    return {condition::failed, "unknown"};
}

component::report projector_report(const services& uses) {
    const auto head = uses.store.head();
    const auto applied = uses.progress.applied_everywhere();
    const std::uint64_t end = head ? head->value : 0;
    const std::uint64_t reached = applied ? applied->value : 0;
    if (reached >= end) {
        return {condition::ok, "caught_up"};
    }
    return {condition::degraded, std::to_string(end - reached) + " bytes behind"};
}

component::report reachable(bool yes, condition otherwise) {
    return yes ? component::report{condition::ok, "reachable"}
               : component::report{otherwise, "unreachable"};
}

std::vector<component> all_components(const services& uses) {
    std::vector<component> out = {
        {"eventStore", true, [&uses] { return store_report(uses); }},
        {"postgres", true,
         [&uses] { return reachable(uses.database.available(), condition::failed); }},
        {"projector", false, [&uses] { return projector_report(uses); }}};
    if (uses.redis != nullptr) {
        out.push_back({"redis", false, [&uses] {
                           return reachable(uses.redis->available(), condition::degraded);
                       }});
    }
    out.insert(out.end(), uses.more_components.begin(), uses.more_components.end());
    return out;
}

std::string_view name_of(condition what) {
    switch (what) {
    case condition::ok:
        return "ok";
    case condition::degraded:
        return "degraded";
    case condition::failed:
        return "failed";
    }
    return "failed";
}

awaitable<result<answer>> alive(const services&, call&) {
    return constant_answer(R"({"status":"ok"})", freshness::no_store);
}

awaitable<result<answer>> readiness(std::vector<component> components) {
    condition all = condition::ok;
    base::json::object list;
    for (const component& one : components) {
        const component::report now = one.ask();
        list.emplace(one.name, base::json::object{{"condition", name_of(now.now)},
                                                  {"state", now.state},
                                                  {"required", one.required}});
        const condition counts =
            now.now == condition::failed && !one.required ? condition::degraded : now.now;
        all = std::max(all, counts);
    }
    answer out;
    out.status = all == condition::failed ? 503 : 200;
    out.body = base::json_text(
        base::json::object{{"status", name_of(all)}, {"components", std::move(list)}});
    co_return out;
}

awaitable<result<answer>> metrics_text(const services& uses, call&) {
    answer out;
    out.content_type = "text/plain; version=0.0.4; charset=utf-8";
    out.body = uses.metrics.text();
    co_return out;
}

route& add(std::vector<route>& table, std::string pattern, std::string summary, access needs) {
    route& r = table.emplace_back();
    r.pattern = std::move(pattern);
    r.summary = std::move(summary);
    r.needs = needs;
    r.limit = rate_class::none;
    return r;
}

} // namespace

void add_operations_routes(std::vector<route>& table, const services& uses) {
    const auto text = schema_of<std::string>();
    route& health = add(table, "/healthz", "The process is alive", access::anyone);
    health.answer_schema = members_schema({{"status", text}});
    health.handle = bind(uses, alive);

    route& ready =
        add(table, "/readyz",
            "Requests can be served; each component's state. 503 if a required one failed",
            access::anyone);
    ready.answer_schema = members_schema({{"status", text}, {"components", {{"type", "object"}}}});
    ready.handle = [components = all_components(uses)](call&) { return readiness(components); };

    route& numbers =
        add(table, "/metrics", "Prometheus metrics, for this machine only", access::machine);
    numbers.handle = bind(uses, metrics_text);
}

} // namespace immortal::api
