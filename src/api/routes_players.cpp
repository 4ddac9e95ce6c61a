#include "api/authorization.hpp"
#include "api/route_building.hpp"
#include "api/routes.hpp"
#include "cache/presence.hpp"
#include "eventstore/event_store.hpp"
#include "readmodel/queries.hpp"

#include <algorithm>
#include <charconv>

namespace immortal::api {
namespace {

using base::errc;
using base::fail;
using base::result;

struct technique_body {
    std::string technique_id;
};
BOOST_DESCRIBE_STRUCT(technique_body, (), (technique_id))

struct move_body {
    std::string location;
};
BOOST_DESCRIBE_STRUCT(move_body, (), (location))

constexpr std::int64_t history_page_default = 50;

awaitable<result<answer>> create_player(const services& uses, call& c,
                                        commands::create_player body) {
    auto done = co_await run_command(uses, c, std::move(body));
    if (done) {
        done->status = 201;
        const auto made = base::parse_json(done->body);
        if (const auto* id = made ? made->get_object().if_contains("playerId") : nullptr) {
            done->location = "/v1/players/" + std::string(id->get_string());
        }
    }
    co_return done;
}

awaitable<result<answer>> learn_technique(const services& uses, call& c, technique_body body) {
    auto done = co_await run_command(
        uses, c, commands::learn_technique{c.ids[0], std::move(body.technique_id)});
    if (done) {
        done->status = 201;
    }
    co_return done;
}

awaitable<result<answer>> rest(const services& uses, call& c, no_fields) {
    return run_command(uses, c, commands::rest{c.ids[0]});
}

awaitable<result<answer>> move(const services& uses, call& c, move_body body) {
    return run_command(uses, c, commands::move_player{c.ids[0], std::move(body.location)});
}

awaitable<result<answer>> own_players(const services& uses, call& c) {
    if (c.parameter("mine") == nullptr) {
        co_return fail(errc::invalid_argument, "Only one's own players are listed: add ?mine.",
                       "invalid_parameter", "mine");
    }
    auto found = co_await uses.views.players_of(c.who->user_id, c.after);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    answer out;
    out.body = R"({"items":)" + (found->absent ? "[]" : found->payload) + R"(,"next":null})";
    out.position = found->position;
    out.as_of = found->as_of;
    co_return out;
}

// `full` decides between the whole view and its public part.
answer player_answer(const services& uses, std::string payload, bool full, base::position position,
                     base::position as_of) {
    answer out;
    out.body = std::move(payload);
    out.position = position;
    out.as_of = as_of;
    out.tag = tag_of(uses, position) + (full ? "" : "-public");
    out.kept = freshness::revalidate;
    return out;
}

std::optional<std::uint64_t> to_position(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                 : std::nullopt;
}

awaitable<result<answer>> player_then(const services& uses, call& c, std::string at) {
    const auto wrong = [](const char* why) {
        return fail(errc::invalid_argument, why, "invalid_parameter", "at");
    };
    if (c.after) {
        co_return wrong("Give either \"at\" or \"after\".");
    }
    const auto position = to_position(at);
    const auto time = base::parse_iso(at);
    if (!position && !time) {
        co_return wrong("This parameter must be a position of the log or a UTC time.");
    }
    const auto head = uses.store.head();
    if (position && *position > (head ? head->value : 0)) {
        co_return wrong("This position is beyond the end of the log.");
    }
    auto found =
        position ? co_await readmodel::player_at(uses.store, c.ids[0], base::position{*position})
                 : co_await readmodel::player_at_time(uses.store, c.ids[0], *time);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    if (!found->value) {
        co_return fail(errc::not_found, "There was no such player at that moment.");
    }
    const bool full = may_see_all(*c.who, *found->value);
    co_return player_answer(uses,
                            full ? base::encode_text(*found->value)
                                 : base::encode_text(public_part(*found->value)),
                            full, found->position, found->as_of);
}

awaitable<result<answer>> player_now(const services& uses, call& c) {
    auto found = co_await find_player(uses, c.ids[0], c.after);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    const bool full = may_see_all(*c.who, found->payload);
    if (!full) {
        const auto parsed = base::parse_json(found->payload);
        const auto player =
            parsed ? base::decode<readmodel::player_view>(*parsed) : fail(parsed.error());
        if (!player) {
            co_return fail(errc::internal,
                           "a player's view cannot be read: " + player.error().message);
        }
        found->payload = base::encode_text(public_part(*player));
    }
    co_return player_answer(uses, std::move(found->payload), full, found->position, found->as_of);
}

awaitable<result<answer>> player(const services& uses, call& c) {
    if (const std::string* at = c.parameter("at")) {
        return player_then(uses, c, *at);
    }
    return player_now(uses, c);
}

awaitable<result<answer>> statistics(const services& uses, call& c) {
    auto found = co_await uses.views.statistics(c.ids[0], c.after);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    co_return view_answer(uses, std::move(*found), "There is no such player.");
}

awaitable<result<answer>> techniques(const services& uses, call& c) {
    if (const auto allowed = co_await require_full_sight(uses, c, c.ids[0]); !allowed) {
        co_return fail(allowed.error());
    }
    auto found = co_await uses.views.techniques(c.ids[0], c.after);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    auto out = view_answer(uses, std::move(*found), "There is no such player.");
    if (out && out->body.ends_with('}')) {
        out->body.back() = ',';
        out->body += R"("next":null})";
    }
    co_return out;
}

awaitable<result<answer>> history(const services& uses, call& c) {
    const auto limit = c.integer("limit", history_page_default, 1, readmodel::page_size_max);
    const auto before = c.integer("before", 0, 0, base::json_integer_max);
    if (!limit || !before) {
        co_return fail(limit ? before.error() : limit.error());
    }
    if (const auto allowed = co_await require_full_sight(uses, c, c.ids[0]); !allowed) {
        co_return fail(allowed.error());
    }
    std::optional<base::revision> from;
    if (c.parameter("before") != nullptr) {
        from = base::revision{static_cast<std::uint64_t>(*before)};
    }
    auto found = co_await uses.queries.history(c.ids[0], from, static_cast<std::size_t>(*limit));
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    base::json::object body{{"items", base::encode(found->value.items)}, {"next", nullptr}};
    if (found->value.next) {
        body["next"] = found->value.next->value;
    }
    answer out;
    out.body = base::json_text(body);
    out.position = found->position;
    out.as_of = found->as_of;
    co_return out;
}

awaitable<result<answer>> heartbeat(const services& uses, call& c, no_fields) {
    if (const auto allowed = co_await require_full_sight(uses, c, c.ids[0]); !allowed) {
        co_return fail(allowed.error());
    }
    if (uses.presence == nullptr) {
        co_return fail(errc::unavailable, "Presence is not kept at the moment.");
    }
    if (const auto told = co_await uses.presence->heartbeat(c.ids[0]); !told) {
        co_return fail(told.error());
    }
    answer out;
    out.status = 204;
    co_return out;
}

route query_route(const services& uses, std::string pattern, std::string summary,
                  plain_handler handle, base::json::object schema) {
    route r;
    r.pattern = std::move(pattern);
    r.summary = std::move(summary);
    r.query = {after_rule()};
    r.answer_schema = std::move(schema);
    r.handle = bind(uses, handle);
    return r;
}

void add_player_commands(std::vector<route>& table, const services& uses) {
    const auto text = schema_of<std::string>();
    const auto number = schema_of<std::int64_t>();
    const auto id = schema_of<base::uuid>();

    route& create =
        table.emplace_back(command_route(uses, "/v1/players", "Create a character", create_player));
    create.success = 201;
    create.rejections = {"name_taken"};
    create.answer_schema = members_schema({{"playerId", id}, {"name", text}, {"position", number}});

    route& learn = table.emplace_back(command_route(uses, "/v1/players/{playerId:uuid}/techniques",
                                                    "Learn a technique", learn_technique));
    learn.success = 201;
    learn.rejections = {"unknown_technique",   "busy",          "already_learned",
                        "not_learnable",       "level_too_low", "realm_too_low",
                        "prerequisite_missing"};
    learn.answer_schema = members_schema(
        {{"playerId", id}, {"techniqueId", text}, {"learnedFrom", text}, {"position", number}});

    route& resting = table.emplace_back(
        command_route(uses, "/v1/players/{playerId:uuid}/rest", "Rest to regain energy", rest));
    resting.rejections = {"busy", "energy_full", "rest_too_soon"};
    resting.answer_schema =
        members_schema({{"playerId", id}, {"energy", number}, {"position", number}});

    route& moving = table.emplace_back(
        command_route(uses, "/v1/players/{playerId:uuid}/move", "Go to another location", move));
    moving.rejections = {"unknown_location", "busy", "already_there", "level_too_low"};
    moving.answer_schema = members_schema(
        {{"playerId", id}, {"location", text}, {"energy", number}, {"position", number}});

    route& alive = table.emplace_back(command_route(uses, "/v1/players/{playerId:uuid}/heartbeat",
                                                    "Say that the player is online", heartbeat));
    alive.key = keyed::no;
    alive.success = 204;
}

} // namespace

void add_player_routes(std::vector<route>& table, const services& uses) {
    add_player_commands(table, uses);
    route& own =
        table.emplace_back(query_route(uses, "/v1/players", "One's own characters", own_players,
                                       list_schema(schema_of<readmodel::player_view>())));
    own.query.push_back({"mine", query_rule::kind::flag, "required: one's own"});

    route& one = table.emplace_back(
        query_route(uses, "/v1/players/{playerId:uuid}",
                    "A character: all of it for its owner, the public part for others", player,
                    {{"oneOf", base::json::array{schema_of<readmodel::player_view>(),
                                                 schema_of<public_player>()}}}));
    one.query.push_back({"at", query_rule::kind::text,
                         "a position of the log or a UTC time: the character as it was then"});

    table.push_back(query_route(uses, "/v1/players/{playerId:uuid}/statistics",
                                "A character's statistics", statistics,
                                schema_of<readmodel::statistics_view>()));
    table.push_back(query_route(uses, "/v1/players/{playerId:uuid}/techniques",
                                "The techniques of one's own character", techniques,
                                list_schema(schema_of<readmodel::technique_view>())));
    route& past =
        table.emplace_back(query_route(uses, "/v1/players/{playerId:uuid}/history",
                                       "The events of one's own character, newest first", history,
                                       list_schema(schema_of<readmodel::history_entry>())));
    past.query.push_back({"limit", query_rule::kind::integer, "1 to 200, default 50"});
    past.query.push_back({"before", query_rule::kind::integer, "`next` of the page before"});
}

} // namespace immortal::api
