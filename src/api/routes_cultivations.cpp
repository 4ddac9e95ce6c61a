#include "api/authorization.hpp"
#include "api/route_building.hpp"
#include "api/routes.hpp"

namespace immortal::api {
namespace {

using base::errc;
using base::fail;
using base::result;

awaitable<result<answer>> start(const services& uses, call& c, commands::start_cultivation body) {
    auto done = co_await run_command(uses, c, std::move(body));
    if (done) {
        done->status = 201;
        const auto made = base::parse_json(done->body);
        if (const auto* id = made ? made->get_object().if_contains("sessionId") : nullptr) {
            done->location = "/v1/cultivations/" + std::string(id->get_string());
        }
    }
    co_return done;
}

awaitable<result<answer>> progress(const services& uses, call& c, no_fields) {
    return run_command(uses, c, commands::progress_cultivation{c.ids[0]});
}

awaitable<result<answer>> complete(const services& uses, call& c, no_fields) {
    return run_command(uses, c, commands::complete_cultivation{c.ids[0]});
}

awaitable<result<answer>> interrupt(const services& uses, call& c, no_fields) {
    return run_command(uses, c, commands::interrupt_cultivation{c.ids[0]});
}

awaitable<result<answer>> session(const services& uses, call& c) {
    auto found = co_await uses.views.cultivation(c.ids[0], c.after);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    auto out = view_answer(uses, std::move(*found), "There is no such session.");
    if (!out || is_staff(*c.who)) {
        co_return out;
    }
    const auto parsed = base::parse_json(out->body);
    const auto view =
        parsed ? base::decode<readmodel::cultivation_view>(*parsed) : fail(parsed.error());
    if (!view) {
        co_return fail(errc::internal, "a session's view cannot be read: " + view.error().message);
    }
    if (const auto allowed = co_await require_full_sight(uses, c, view->player_id); !allowed) {
        co_return fail(allowed.error());
    }
    co_return out;
}

} // namespace

void add_cultivation_routes(std::vector<route>& table, const services& uses) {
    const auto text = schema_of<std::string>();
    const auto number = schema_of<std::int64_t>();
    const auto id = schema_of<base::uuid>();
    const auto time = schema_of<base::utc_time>();

    route& begin =
        table.emplace_back(command_route(uses, "/v1/cultivations", "Start to cultivate", start));
    begin.success = 201;
    begin.rejections = {"busy",      "unknown_technique", "not_learned",       "not_cultivable",
                        "not_there", "unknown_location",  "not_enough_energy", "level_too_low"};
    begin.answer_schema = members_schema({{"sessionId", id},
                                          {"playerId", id},
                                          {"startTime", time},
                                          {"readyAt", time},
                                          {"expectedDuration", number},
                                          {"expectedExperience", number},
                                          {"energyCost", number},
                                          {"energy", number},
                                          {"position", number}});

    route& going =
        table.emplace_back(command_route(uses, "/v1/cultivations/{sessionId:uuid}/progress",
                                         "Take the experience gained so far", progress));
    going.rejections = {"session_ended", "no_progress"};
    going.answer_schema = members_schema({{"sessionId", id},
                                          {"playerId", id},
                                          {"experienceGained", number},
                                          {"totalExperienceGained", number},
                                          {"currentStage", text},
                                          {"level", number},
                                          {"realm", text},
                                          {"position", number}});

    route& done = table.emplace_back(command_route(
        uses, "/v1/cultivations/{sessionId:uuid}/complete", "Finish the session", complete));
    done.rejections = {"session_ended", "not_finished"};
    done.answer_schema = members_schema({{"sessionId", id},
                                         {"playerId", id},
                                         {"status", text},
                                         {"totalExperienceGained", number},
                                         {"breakthroughAchieved", schema_of<bool>()},
                                         {"newInsights", schema_of<std::vector<std::string>>()},
                                         {"level", number},
                                         {"realm", text},
                                         {"position", number}});

    route& cut = table.emplace_back(command_route(
        uses, "/v1/cultivations/{sessionId:uuid}/interrupt", "End the session early", interrupt));
    cut.rejections = {"session_ended"};
    cut.answer_schema = members_schema({{"sessionId", id},
                                        {"playerId", id},
                                        {"status", text},
                                        {"totalExperienceGained", number},
                                        {"level", number},
                                        {"realm", text},
                                        {"position", number}});

    route& seen = table.emplace_back();
    seen.pattern = "/v1/cultivations/{sessionId:uuid}";
    seen.summary = "A session of one's own character";
    seen.query = {after_rule()};
    seen.answer_schema = schema_of<readmodel::cultivation_view>();
    seen.handle = bind(uses, session);
}

} // namespace immortal::api
