#include "api/route_matrix.hpp"

namespace immortal::api::testing {
namespace {

using namespace std::chrono_literals;

using make = std::function<http_call(full_stack&, const account&)>;

std::string quoted(const std::string& text) {
    return '"' + text + '"';
}

make get_fixed(const std::string& target) {
    return [target](full_stack&, const account& by) {
        return http_call{.target = target, .token = by.token};
    };
}

make get_of_player(const std::string& before, const std::string& after) {
    return [before, after](full_stack& stack, const account& by) {
        const std::string player = stack.new_cultivator(by);
        return http_call{.target =
                             before + player + after + "?after=" + std::to_string(stack.head()),
                         .token = by.token};
    };
}

make post_to_player(const std::string& what, const std::string& body) {
    return [what, body](full_stack& stack, const account& by) {
        return http_call{method::post, "/v1/players/" + stack.new_player(by) + what, body,
                         by.token};
    };
}

make post_to_session(const std::string& what, std::chrono::seconds after) {
    return [what, after](full_stack& stack, const account& by) {
        const std::string session = stack.new_session(by);
        stack.pass_time(after);
        return http_call{method::post, "/v1/cultivations/" + session + what, {}, by.token};
    };
}

http_call sign_up(full_stack& stack, const account&) {
    const std::string name = stack.unique("fresh");
    return {method::post, "/v1/users",
            R"({"username":")" + name + R"(","email":")" + name +
                R"(@x.org","password":"long enough for )" + name + "\"}"};
}

http_call log_in(full_stack&, const account& by) {
    return {method::post, "/v1/sessions",
            R"({"username":)" + quoted(by.username) + R"(,"password":)" + quoted(by.password) +
                "}"};
}

make delete_of_new_account(const std::string& target) {
    return [target](full_stack& stack, const account&) {
        return http_call{method::delete_, target, {}, stack.new_account().token};
    };
}

http_call change_password(full_stack& stack, const account&) {
    const account one = stack.new_account();
    return {method::post, "/v1/users/me/password",
            R"({"currentPassword":)" + quoted(one.password) +
                R"(,"newPassword":"quite another passphrase"})",
            one.token};
}

http_call create_player(full_stack& stack, const account& by) {
    return {method::post, "/v1/players", R"({"name":)" + quoted(stack.unique("M")) + "}", by.token};
}

http_call learn(full_stack& stack, const account& by) {
    return post_to_player("/techniques",
                          R"({"techniqueId":)" + quoted(stack.technique()) + "}")(stack, by);
}

http_call move(full_stack& stack, const account& by) {
    return post_to_player("/move", R"({"location":)" + quoted(stack.location()) + "}")(stack, by);
}

http_call rest(full_stack& stack, const account& by) {
    const std::string player = stack.new_cultivator(by);
    const raw_answer begun = stack.post("/v1/cultivations",
                                        R"({"playerId":)" + quoted(player) + R"(,"techniqueId":)" +
                                            quoted(stack.technique()) + "}",
                                        by);
    stack.post("/v1/cultivations/" + member(begun, "sessionId") + "/interrupt", {}, by);
    return {method::post, "/v1/players/" + player + "/rest", {}, by.token};
}

http_call heartbeat(full_stack& stack, const account& by) {
    const std::string player = stack.new_player(by);
    stack.get("/v1/players/" + player + "?after=" + std::to_string(stack.head()), by);
    return {method::post, "/v1/players/" + player + "/heartbeat", {}, by.token};
}

http_call cultivate(full_stack& stack, const account& by) {
    return {method::post, "/v1/cultivations",
            R"({"playerId":)" + quoted(stack.new_cultivator(by)) + R"(,"techniqueId":)" +
                quoted(stack.technique()) + "}",
            by.token};
}

http_call session(full_stack& stack, const account& by) {
    const std::string id = stack.new_session(by);
    return {.target = "/v1/cultivations/" + id + "?after=" + std::to_string(stack.head()),
            .token = by.token};
}

std::vector<matrix_row> rows() {
    const std::string player = "/v1/players/{playerId:uuid}";
    const std::string cultivation = "/v1/cultivations/{sessionId:uuid}";
    return {
        {method::post, "/v1/users", sign_up, 0, false},
        {method::post, "/v1/sessions", log_in},
        {method::delete_, "/v1/sessions/current", delete_of_new_account("/v1/sessions/current")},
        {method::get, "/v1/users/me", get_fixed("/v1/users/me")},
        {method::post, "/v1/users/me/password", change_password, 0, false},
        {method::delete_, "/v1/users/me", delete_of_new_account("/v1/users/me")},
        {method::post, "/v1/players", create_player},
        {method::get, "/v1/players", get_fixed("/v1/players?mine")},
        {method::get, player, get_of_player("/v1/players/", ""), 200},
        {method::get, player + "/statistics", get_of_player("/v1/players/", "/statistics"), 200},
        {method::get, player + "/techniques", get_of_player("/v1/players/", "/techniques"), 403},
        {method::get, player + "/history", get_of_player("/v1/players/", "/history"), 403},
        {method::post, player + "/techniques", learn, 403},
        {method::post, player + "/rest", rest, 403},
        {method::post, player + "/move", move, 403},
        {method::post, player + "/heartbeat", heartbeat, 403},
        {method::post, "/v1/cultivations", cultivate, 403},
        {method::get, cultivation, session, 403},
        {method::post, cultivation + "/progress", post_to_session("/progress", 1800s), 403},
        {method::post, cultivation + "/complete", post_to_session("/complete", 720h), 403},
        {method::post, cultivation + "/interrupt", post_to_session("/interrupt", 1s), 403},
        {method::get, "/v1/leaderboards/{board:name}",
         get_fixed("/v1/leaderboards/level?limit=10&offset=0")},
        {method::get, "/v1/leaderboards/{board:name}/players/{playerId:uuid}",
         get_of_player("/v1/leaderboards/level/players/", ""), 200},
        {method::get, "/v1/catalog/items", get_fixed("/v1/catalog/items")},
        {method::get, "/v1/catalog/techniques", get_fixed("/v1/catalog/techniques")},
        {method::get, "/v1/catalog/realms", get_fixed("/v1/catalog/realms")},
        {method::get, "/v1/catalog/monsters", get_fixed("/v1/catalog/monsters")},
        {method::get, "/v1/catalog/locations", get_fixed("/v1/catalog/locations")},
        {method::get, "/healthz", get_fixed("/healthz")},
        {method::get, "/readyz", get_fixed("/readyz")},
        {method::get, "/metrics", get_fixed("/metrics")},
        {method::get, "/openapi.json", get_fixed("/openapi.json")},
    };
}

} // namespace

const std::vector<matrix_row>& route_matrix() {
    static const std::vector<matrix_row> all = rows();
    return all;
}

} // namespace immortal::api::testing
