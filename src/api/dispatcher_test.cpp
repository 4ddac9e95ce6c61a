#include "api/dispatcher.hpp"
#include "api/schema.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

namespace immortal::api {
namespace {

using base::errc;
using base::fail;
using base::result;

struct thing_body {
    std::string name;
    std::optional<std::int64_t> size;
};
BOOST_DESCRIBE_STRUCT(thing_body, (), (name, size))

awaitable<result<answer>> tell(call& c) {
    answer out;
    base::json::object seen{{"key", c.idempotency_key}};
    if (c.who) {
        seen.emplace("user", c.who->username);
    }
    if (c.after) {
        seen.emplace("after", c.after->value);
    }
    out.body = base::json::serialize(seen);
    out.position = base::position{42};
    out.as_of = base::position{99};
    out.tag = "1-42";
    out.kept = freshness::revalidate;
    co_return out;
}

awaitable<result<answer>> make(call& c) {
    auto body = base::decode<thing_body>(c.body, base::unknown_fields::refused);
    if (!body) {
        co_return fail(std::move(body.error()));
    }
    answer out;
    out.status = 201;
    out.location = "/things/" + body->name;
    co_return out;
}

result<caller> who_is(const std::string& token) {
    if (token == "staff") {
        return caller{{}, "gm", accounts::role::gm, {}, {}};
    }
    if (token == "user") {
        return caller{{}, "li", accounts::role::player, {}, {}};
    }
    return fail(errc::unauthenticated, "Log in again.");
}

awaitable<result<caller>> authenticate(std::string token) {
    co_return who_is(token);
}

std::vector<route> test_routes() {
    std::vector<route> out(5);
    out[0] = {.pattern = "/open", .needs = access::anyone, .handle = tell};
    out[1] = {.pattern = "/mine",
              .query = {{"after", query_rule::kind::position, ""},
                        {"limit", query_rule::kind::integer, ""},
                        {"mine", query_rule::kind::flag, ""}},
              .handle = tell};
    out[2] = {.pattern = "/staff", .needs = access::staff, .handle = tell};
    out[3] = {.verb = method::post,
              .pattern = "/things",
              .limit = rate_class::command,
              .key = keyed::yes,
              .body = needs_body::required,
              .body_schema = schema_of<thing_body>(),
              .handle = make};
    out[4] = {
        .pattern = "/machine", .needs = access::machine, .limit = rate_class::none, .handle = tell};
    return out;
}

class dispatcher_test : public ::testing::Test {
protected:
    dispatcher_test() {
        engine.start();
        asked.source = {"127.0.0.1", "127.0.0.1", true};
        asked.request_id = "r1";
    }

    response ask(method verb, std::string target, std::string token = {}, std::string body = {}) {
        asked.verb = verb;
        asked.target = std::move(target);
        asked.authorization = token.empty() ? "" : "Bearer " + token;
        asked.body = std::move(body);
        return engine.run(target_.handle(asked));
    }
    static std::string code(const response& got) {
        return std::string(base::parse_json(got.body)->at("code").as_string());
    }

    runtime::engine engine{{.threads = 2}};
    base::metrics metrics;
    base::manual_clock clock{base::utc_time{}};
    base::seeded_random random{1};
    dispatcher target_{test_routes(), authenticate, rate_settings{.command = {1, 3}}, clock, random,
                       metrics,       "1"};
    request asked;
};

TEST_F(dispatcher_test, routes_by_path_and_method) {
    EXPECT_EQ(ask(method::get, "/open").status, 200u);
    EXPECT_EQ(ask(method::get, "/nothing").status, 404u);
    EXPECT_EQ(ask(method::get, "/o%70en").status, 200u);
    EXPECT_EQ(ask(method::get, "/o%7").status, 400u);
    EXPECT_EQ(ask(method::get, "/no%thing").status, 400u);
    const response wrong = ask(method::post, "/open");
    EXPECT_EQ(wrong.status, 405u);
    EXPECT_NE(wrong.headers.find("Allow: GET, HEAD, OPTIONS\r\n"), std::string::npos);
    EXPECT_EQ(ask(method::other, "/open").status, 405u);
    const response options = ask(method::options, "/things");
    EXPECT_EQ(options.status, 204u);
    EXPECT_NE(options.headers.find("Allow: POST, OPTIONS\r\n"), std::string::npos);
    EXPECT_EQ(ask(method::options, "*").status, 204u);
}

TEST_F(dispatcher_test, knows_who_is_asking) {
    const response got = ask(method::get, "/mine");
    EXPECT_EQ(got.status, 401u);
    EXPECT_NE(got.headers.find("WWW-Authenticate: Bearer"), std::string::npos);
    EXPECT_EQ(ask(method::get, "/mine", "wrong").status, 401u);
    EXPECT_NE(ask(method::get, "/mine", "user").body.find("\"li\""), std::string::npos);
    EXPECT_EQ(ask(method::get, "/staff", "user").status, 403u);
    EXPECT_EQ(ask(method::get, "/staff", "staff").status, 200u);
    EXPECT_EQ(ask(method::get, "/machine").status, 200u);
    asked.source = {"8.8.8.8", "8.8.8.8", false};
    EXPECT_EQ(ask(method::get, "/machine").status, 404u);
}

TEST_F(dispatcher_test, checks_queries_against_the_route) {
    EXPECT_NE(ask(method::get, "/mine?after=7&mine", "user").body.find("\"after\":7"),
              std::string::npos);
    for (const char* bad : {"?after=-1", "?after=x", "?after=", "?after=9007199254740992",
                            "?after=1&after=2", "?other=1", "?limit=1.5", "?limit=", "?mine=no"}) {
        EXPECT_EQ(ask(method::get, std::string("/mine") + bad, "user").status, 422u) << bad;
    }
    EXPECT_EQ(ask(method::get, "/mine?a=%", "user").status, 400u);
}

TEST_F(dispatcher_test, checks_bodies) {
    asked.content_type = "application/json; charset=utf-8";
    const response made = ask(method::post, "/things", "user", R"({"name":"a"})");
    EXPECT_EQ(made.status, 201u);
    EXPECT_NE(made.headers.find("Location: /things/a\r\n"), std::string::npos);
    clock.advance(std::chrono::seconds(3));
    response got = ask(method::post, "/things", "user", R"({"name":"a","more":1})");
    EXPECT_EQ(got.status, 422u);
    EXPECT_NE(got.body.find("\"field\":\"more\""), std::string::npos);
    EXPECT_EQ(ask(method::post, "/things", "user", R"({"name":7})").status, 422u);
    clock.advance(std::chrono::seconds(3));
    EXPECT_EQ(ask(method::post, "/things", "user", "[]").status, 422u);
    EXPECT_EQ(ask(method::post, "/things", "user", "{").status, 400u);
    EXPECT_EQ(ask(method::post, "/things", "user", "").status, 400u);
    got = ask(method::post, "/things", "user", R"({"name":")" + std::string(2'000, 'a') + "\"}");
    EXPECT_EQ(code(got), "too_long");
    asked.content_type = "text/plain";
    EXPECT_EQ(ask(method::post, "/things", "user", R"({"name":"a"})").status, 415u);
    EXPECT_EQ(ask(method::get, "/mine", "user", "x").status, 400u);
}

TEST_F(dispatcher_test, refuses_encoded_bodies_and_says_what_it_takes) {
    for (const char* coding : {"gzip", "GZip", "identity, gzip", "br,identity", "x"}) {
        asked.content_encoding = coding;
        const response got = ask(method::post, "/things", "user", R"({"name":"a"})");
        EXPECT_EQ(got.status, 415u) << coding;
        EXPECT_NE(got.headers.find("Accept-Encoding: identity\r\n"), std::string::npos) << coding;
        clock.advance(std::chrono::seconds(1));
    }
    EXPECT_EQ(ask(method::get, "/mine", "user").status, 415u);
    for (const char* coding : {"", "identity", "Identity , identity", ","}) {
        asked.content_encoding = coding;
        EXPECT_EQ(ask(method::post, "/things", "user", R"({"name":"a"})").status, 201u) << coding;
        clock.advance(std::chrono::seconds(1));
    }
}

TEST_F(dispatcher_test, a_field_that_is_repeated_is_named) {
    const response got = ask(method::post, "/things", "user", R"({"name":"a","name":"b"})");
    EXPECT_EQ(got.status, 422u);
    EXPECT_NE(got.body.find("\"field\":\"name\""), std::string::npos);
    EXPECT_EQ(code(got), "repeated_field");
}

TEST_F(dispatcher_test, takes_or_makes_an_idempotency_key) {
    const response made = ask(method::post, "/things", "user", R"({"name":"a"})");
    EXPECT_NE(made.headers.find("Idempotency-Key: "), std::string::npos);
    asked.has_idempotency_key = true;
    asked.idempotency_key = "key-1";
    EXPECT_NE(ask(method::post, "/things", "user", R"({"name":"a"})")
                  .headers.find("Idempotency-Key: key-1\r\n"),
              std::string::npos);
    for (const std::string& bad :
         {std::string(), std::string(129, 'a'), std::string("a b"), std::string("\xc3\xa9")}) {
        asked.idempotency_key = bad;
        EXPECT_EQ(ask(method::post, "/things", "user", R"({"name":"a"})").status, 422u) << bad;
    }
}

TEST_F(dispatcher_test, limits_commands_by_actor) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(ask(method::post, "/things", "user", R"({"name":"a"})").status, 201u);
    }
    const response got = ask(method::post, "/things", "user", R"({"name":"a"})");
    EXPECT_EQ(got.status, 429u);
    EXPECT_NE(got.headers.find("Retry-After: 1"), std::string::npos);
}

TEST_F(dispatcher_test, says_how_new_an_answer_is) {
    const response first = ask(method::get, "/open");
    EXPECT_NE(first.headers.find("Immortal-Position: 42\r\n"), std::string::npos);
    EXPECT_NE(first.headers.find("Immortal-As-Of: 99\r\n"), std::string::npos);
    EXPECT_NE(first.headers.find("ETag: \"1-42\"\r\n"), std::string::npos);
    asked.if_none_match = "\"1-42\"";
    const response again = ask(method::get, "/open");
    EXPECT_EQ(again.status, 304u);
    EXPECT_TRUE(again.body.empty());
}

TEST_F(dispatcher_test, describes_and_counts_itself) {
    const response got = ask(method::get, "/openapi.json");
    EXPECT_EQ(got.status, 200u);
    const auto document = base::parse_json(got.body);
    ASSERT_TRUE(document);
    const auto& body = document->at("paths").at("/things").at("post").at("requestBody");
    EXPECT_EQ(body.at("content").at("application/json").at("schema").at("required"),
              base::json::value(base::json::array{"name"}));
    for (const route& r : target_.routes()) {
        EXPECT_TRUE(document->at("paths").as_object().contains(r.pattern)) << r.pattern;
    }
    EXPECT_NE(metrics.text().find("route=\"/openapi.json\",status=\"2xx\"} 1"), std::string::npos);
}

} // namespace
} // namespace immortal::api
