// What a client relies on beyond single calls: its own writes, past states, sessions, ranks.
#include "api/full_stack.hpp"

#include <gtest/gtest.h>

namespace immortal::api {
namespace {

using namespace std::chrono_literals;
using testing::account;
using testing::full_stack;
using testing::member;
using testing::raw_answer;

class journey_test : public ::testing::Test {
protected:
    static void SetUpTestSuite() { stack = new full_stack; }
    static void TearDownTestSuite() {
        delete stack;
        stack = nullptr;
    }
    static std::string after(const raw_answer& done) {
        return "?after=" + done.headers.at("immortal-position");
    }

    static full_stack* stack;
};

full_stack* journey_test::stack = nullptr;

TEST_F(journey_test, a_life_from_registration_to_the_leaderboard) {
    const account li = stack->new_account();
    const std::string player = stack->new_cultivator(li);
    const std::string path = "/v1/players/" + player;
    const raw_answer begun = stack->post(
        "/v1/cultivations",
        R"({"playerId":")" + player + R"(","techniqueId":")" + stack->technique() + "\"}", li);
    EXPECT_EQ(begun.status, 201u) << begun.body;
    EXPECT_EQ(member(stack->get(path + after(begun), li), "status"), "cultivating");
    const std::string session = "/v1/cultivations/" + member(begun, "sessionId");
    EXPECT_EQ(begun.headers.at("location"), session);
    const raw_answer early = stack->post(session + "/complete", {}, li);
    EXPECT_EQ(early.status, 409u);
    EXPECT_EQ(member(early, "code"), "not_finished");
    stack->pass_time(720h);
    const raw_answer done = stack->post(session + "/complete", {}, li);
    EXPECT_EQ(done.status, 200u) << done.body;
    const raw_answer seen = stack->get(session + after(done), li);
    EXPECT_EQ(member(seen, "status"), member(done, "status")) << seen.body;
    const raw_answer statistics = stack->get(path + "/statistics" + after(done), li);
    EXPECT_EQ(member(statistics, "totalCultivationSessions"), "1") << statistics.body;
    const raw_answer rank =
        stack->get("/v1/leaderboards/cultivation/players/" + player + after(done), li);
    EXPECT_EQ(rank.status, 200u) << rank.body;
    EXPECT_EQ(member(rank, "rank"), "1") << rank.body;
    const raw_answer board = stack->get("/v1/leaderboards/cultivation" + after(done), li);
    EXPECT_NE(board.body.find(player), std::string::npos) << board.body;
    const raw_answer history = stack->get(path + "/history?limit=2", li);
    EXPECT_EQ(history.status, 200u) << history.body;
    const raw_answer older =
        stack->get(path + "/history?limit=200&before=" + member(history, "next"), li);
    EXPECT_EQ(member(older, "next"), "null");
    EXPECT_NE(older.body.find("PlayerCreated"), std::string::npos) << older.body;
    const raw_answer mine = stack->get("/v1/players" + after(done) + "&mine", li);
    EXPECT_NE(mine.body.find(player), std::string::npos);
}

TEST_F(journey_test, after_is_honest) {
    const account li = stack->new_account();
    for (int i = 0; i < 20; ++i) {
        const raw_answer made =
            stack->post("/v1/players", R"({"name":")" + stack->unique("A") + "\"}", li);
        const raw_answer seen =
            stack->get("/v1/players/" + member(made, "playerId") + after(made), li);
        ASSERT_EQ(seen.status, 200u) << seen.body;
        EXPECT_EQ(member(seen, "position"), member(made, "position"));
        EXPECT_GE(std::stoull(seen.headers.at("immortal-as-of")),
                  std::stoull(member(made, "position")));
    }
    const raw_answer beyond =
        stack->get("/v1/players?mine&after=" + std::to_string(stack->head() + 1), li);
    EXPECT_EQ(beyond.status, 422u) << beyond.body;
    EXPECT_EQ(member(beyond, "field"), "after");
}

TEST_F(journey_test, an_unchanged_value_is_not_sent_again) {
    const account li = stack->new_account();
    const std::string path = "/v1/players/" + stack->new_player(li);
    const raw_answer first = stack->get(path + "?after=" + std::to_string(stack->head()), li);
    const std::string match = "If-None-Match: " + first.headers.at("etag") + "\r\n";
    EXPECT_EQ(stack->ask({.target = path, .token = li.token, .headers = match}).status, 304u);
    const raw_answer moved =
        stack->post(path + "/move", R"({"location":")" + stack->location() + "\"}", li);
    const raw_answer changed =
        stack->ask({.target = path + after(moved), .token = li.token, .headers = match});
    EXPECT_EQ(changed.status, 200u);
    const account other = stack->new_account();
    const raw_answer theirs = stack->get(path, other);
    EXPECT_NE(theirs.headers.at("etag"), changed.headers.at("etag")); // another representation
}

TEST_F(journey_test, the_past_can_be_seen) {
    const account li = stack->new_account();
    const raw_answer made =
        stack->post("/v1/players", R"({"name":")" + stack->unique("T") + "\"}", li);
    const std::string path = "/v1/players/" + member(made, "playerId");
    const std::string home = member(stack->get(path + after(made), li), "currentLocation");
    stack->pass_time(60s);
    const raw_answer moved =
        stack->post(path + "/move", R"({"location":")" + stack->location() + "\"}", li);
    const raw_answer then = stack->get(path + "?at=" + member(made, "position"), li);
    EXPECT_EQ(member(then, "currentLocation"), home) << then.body;
    const raw_answer now = stack->get(path + "?at=" + member(moved, "position"), li);
    EXPECT_EQ(member(now, "currentLocation"), stack->location()) << now.body;
    EXPECT_EQ(stack->get(path + "?at=2020-01-01T00:00:00Z", li).status, 404u);
    EXPECT_EQ(stack->get(path + "?at=2099-01-01T00:00:00Z", li).status, 200u);
    EXPECT_EQ(stack->get(path + "?at=yesterday", li).status, 422u);
    EXPECT_EQ(stack->get(path + "?at=1&after=1", li).status, 422u);
    EXPECT_EQ(stack->get(path + "?at=" + std::to_string(stack->head() + 1), li).status, 422u);
}

TEST_F(journey_test, a_session_ends_when_it_is_told_to) {
    account li = stack->new_account();
    const raw_answer second = stack->ask(
        {method::post, "/v1/sessions",
         R"({"username":")" + li.username + R"(@x.org","password":")" + li.password + "\"}"});
    EXPECT_EQ(second.status, 201u) << second.body;
    const account elsewhere = {li.username, li.password, li.user_id, member(second, "token")};
    EXPECT_EQ(member(stack->get("/v1/users/me", li), "username"), li.username);
    EXPECT_EQ(stack->ask({method::delete_, "/v1/sessions/current", {}, elsewhere.token}).status,
              204u);
    EXPECT_EQ(stack->get("/v1/users/me", elsewhere).status, 401u);
    EXPECT_EQ(stack->get("/v1/users/me", li).status, 200u);

    const std::string wrong =
        R"({"currentPassword":"not it at all","newPassword":"new phrase 77"})";
    const raw_answer refused = stack->post("/v1/users/me/password", wrong, li);
    EXPECT_EQ(refused.status, 403u) << refused.body;
    EXPECT_EQ(member(refused, "code"), "wrong_password");

    EXPECT_EQ(stack->ask({method::delete_, "/v1/users/me", {}, li.token}).status, 204u);
    EXPECT_EQ(stack->get("/v1/users/me", li).status, 401u);
    const raw_answer gone =
        stack->ask({method::post, "/v1/sessions",
                    R"({"username":")" + li.username + R"(","password":")" + li.password + "\"}"});
    EXPECT_EQ(gone.status, 401u) << gone.body;
}

TEST_F(journey_test, leaderboards_are_paged) {
    const account li = stack->new_account();
    for (int i = 0; i < 5; ++i) {
        stack->new_player(li);
    }
    const std::string now = "&after=" + std::to_string(stack->head());
    const raw_answer first = stack->get("/v1/leaderboards/level?limit=2" + now, li);
    EXPECT_EQ(member(first, "next"), "2") << first.body;
    const raw_answer all = stack->get("/v1/leaderboards/level?limit=200" + now, li);
    EXPECT_EQ(member(all, "next"), "null") << all.body;
    EXPECT_EQ(stack->get("/v1/leaderboards/beauty", li).status, 404u);
    for (const char* bad : {"limit=0", "limit=201", "offset=-1", "limit=x"}) {
        EXPECT_EQ(stack->get(std::string("/v1/leaderboards/level?") + bad, li).status, 422u) << bad;
    }
}

TEST_F(journey_test, operations_tell_what_they_should) {
    const raw_answer ready = stack->ask({.target = "/readyz"});
    EXPECT_EQ(ready.status, 200u);
    for (const char* part : {"eventStore", "postgres", "redis", "projector"}) {
        EXPECT_NE(ready.body.find(part), std::string::npos) << ready.body;
    }
    stack->ask({.target = "/v1/players/00000000-0000-4000-8000-00000000dead"});
    const std::string metrics = stack->ask({.target = "/metrics"}).body;
    EXPECT_NE(metrics.find("route=\"/v1/players/{playerId:uuid}\""), std::string::npos);
    EXPECT_EQ(metrics.find("00000000dead"), std::string::npos); // patterns, not paths
}

} // namespace
} // namespace immortal::api
