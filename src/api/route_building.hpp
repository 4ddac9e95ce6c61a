// Small tools with which the route table is written: handlers with typed bodies, schemas, answers.
#pragma once

#include "api/route.hpp"
#include "api/schema.hpp"
#include "api/services.hpp"
#include "base/json.hpp"
#include "cache/entry.hpp"
#include "commands/commands.hpp"

#include <optional>
#include <string>
#include <utility>

namespace immortal::api {

// The body of a request that has nothing to say.
struct no_fields {};
BOOST_DESCRIBE_STRUCT(no_fields, (), ())

using plain_handler = awaitable<base::result<answer>> (*)(const services& uses, call& c);
template <typename Body>
using body_handler = awaitable<base::result<answer>> (*)(const services& uses, call& c, Body body);

[[nodiscard]] inline route_handler bind(const services& uses, plain_handler handle) {
    return [&uses, handle](call& c) { return handle(uses, c); };
}

// What a body that cannot be decoded is told: a fault that lies in no field is the body's own.
[[nodiscard]] base::error wrong_body(base::error from);

// The body is decoded, unknown fields refused, before the handler is called.
template <typename Body>
[[nodiscard]] route_handler bind(const services& uses, body_handler<Body> handle) {
    return [&uses, handle](call& c) {
        auto body = base::decode<Body>(c.body, base::unknown_fields::refused);
        if (!body) {
            return refused(wrong_body(std::move(body.error())));
        }
        return handle(uses, c, std::move(*body));
    };
}

// A POST that is a command of the game: a key, a body of `Body`, the limit on commands.
template <typename Body>
[[nodiscard]] route command_route(const services& uses, std::string pattern, std::string summary,
                                  body_handler<Body> handle) {
    route r;
    r.verb = method::post;
    r.pattern = std::move(pattern);
    r.summary = std::move(summary);
    r.limit = rate_class::command;
    r.key = keyed::yes;
    r.body = std::is_same_v<Body, no_fields> ? needs_body::optional : needs_body::required;
    r.body_schema = schema_of<Body>();
    r.handle = bind(uses, handle);
    return r;
}

// Carries out a command; its answer is the outcome's body and "position".
awaitable<base::result<answer>> run_command(const services& uses, call& c,
                                            commands::game_command what);

// {"items": [...], "next": ...}
[[nodiscard]] base::json::object list_schema(base::json::object items);
// An object of the given members, all required.
[[nodiscard]] base::json::object
members_schema(std::initializer_list<std::pair<const char*, base::json::object>> members);

[[nodiscard]] query_rule after_rule();

// A view's payload as an answer: how new it is, an ETag, 404 (with `what`) if it is absent.
[[nodiscard]] base::result<answer> view_answer(const services& uses, cache::entry from,
                                               std::string what);
[[nodiscard]] std::string tag_of(const services& uses, base::position position);

} // namespace immortal::api
