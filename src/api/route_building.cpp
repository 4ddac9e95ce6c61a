#include "api/route_building.hpp"

#include "commands/service.hpp"
#include "eventstore/event_store.hpp"

namespace immortal::api {

using base::errc;
using base::fail;
using base::result;

namespace {

commands::role to_command_role(accounts::role rank) {
    switch (rank) {
    case accounts::role::player:
        return commands::role::player;
    case accounts::role::gm:
        return commands::role::gm;
    case accounts::role::admin:
        return commands::role::admin;
    }
    return commands::role::player;
}

} // namespace

base::error wrong_body(base::error from) {
    return from.field.empty() ? base::error{errc::invalid_argument,
                                            "The body must be a JSON object.", "invalid_request"}
                              : std::move(from);
}

awaitable<result<answer>> run_command(const services& uses, call& c, commands::game_command what) {
    const commands::actor who{c.who->user_id, to_command_role(c.who->rank)};
    auto done = co_await uses.commands.execute(who, c.idempotency_key, std::move(what));
    if (!done) {
        co_return fail(std::move(done.error()));
    }
    done->body.emplace("position", done->position.value);
    answer out;
    out.body = base::json_text(done->body);
    out.position = done->position;
    out.repeated = done->repeated;
    co_return out;
}

base::json::object list_schema(base::json::object items) {
    base::json::object list = detail::typed_schema("array");
    list.emplace("items", std::move(items));
    return members_schema(
        {{"items", std::move(list)}, {"next", {{"type", base::json::array{"integer", "null"}}}}});
}

base::json::object
members_schema(std::initializer_list<std::pair<const char*, base::json::object>> members) {
    base::json::object properties;
    base::json::array required;
    for (const auto& [name, schema] : members) {
        properties.emplace(name, schema);
        required.emplace_back(name);
    }
    return {{"type", "object"},
            {"properties", std::move(properties)},
            {"required", std::move(required)}};
}

query_rule after_rule() {
    return {"after", query_rule::kind::position,
            "a position of the log: the answer reflects at least it, or is 503 read_model_behind"};
}

std::string tag_of(const services& uses, base::position position) {
    return std::to_string(uses.store.identity().epoch) + "-" + std::to_string(position.value);
}

result<answer> view_answer(const services& uses, cache::entry from, std::string what) {
    if (from.absent) {
        return fail(errc::not_found, std::move(what));
    }
    answer out;
    out.body = std::move(from.payload);
    out.position = from.position;
    out.as_of = from.as_of;
    out.tag = tag_of(uses, from.position);
    out.kept = freshness::revalidate;
    return out;
}

} // namespace immortal::api
