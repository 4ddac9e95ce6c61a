#include "api/connection_table.hpp"
#include "api/problem.hpp"
#include "api/rate_limiter.hpp"
#include "api/repeated_key.hpp"
#include "api/request_checks.hpp"
#include "api/response_writer.hpp"
#include "api/router.hpp"
#include "api/uri.hpp"
#include "base/json.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace immortal::api {
namespace {

using base::errc;

route at(method verb, std::string pattern) {
    route r;
    r.verb = verb;
    r.pattern = std::move(pattern);
    return r;
}

TEST(uri, decodes_escapes_and_refuses_broken_ones) {
    EXPECT_EQ(percent_decode("a%20b+%E4%BB%99"), "a b+\xe4\xbb\x99");
    for (const char* bad : {"%", "%2", "%zz", "a%0", "%00", "%0d%0a", "%7f", "%1f"}) {
        EXPECT_FALSE(percent_decode(bad)) << bad;
    }
}

TEST(uri, splits_paths) {
    EXPECT_EQ(split_path("/a/b")->count, 2u);
    EXPECT_EQ(split_path("/")->count, 0u);
    for (const char* bad : {"", "a", "//", "/a/", "/a//b", "/1/2/3/4/5/6/7/8/9"}) {
        EXPECT_FALSE(split_path(bad)) << bad;
    }
}

TEST(uri, parses_queries) {
    const auto parsed = parse_query("a=1&b&c=x%26y&&d=");
    ASSERT_TRUE(parsed);
    const query_parameters expected = {{"a", "1"}, {"b", ""}, {"c", "x&y"}, {"d", ""}};
    EXPECT_EQ(*parsed, expected);
    EXPECT_EQ(parse_query("a=1&a=2").error().field, "a");
    EXPECT_FALSE(parse_query("a=%"));
    std::string many;
    for (int i = 0; i < 17; ++i) {
        many += "p" + std::to_string(i) + "=1&";
    }
    EXPECT_FALSE(parse_query(many));
}

TEST(router, finds_typed_segments_and_names_what_is_allowed) {
    const router table({at(method::get, "/v1/things"), at(method::post, "/v1/things"),
                        at(method::get, "/v1/things/{id:uuid}"),
                        at(method::post, "/v1/things/{id:uuid}/open"),
                        at(method::get, "/v1/boards/{board:name}"), at(method::get, "/")});
    const std::string id = "0190cb5e-0000-7000-8000-000000000001";
    EXPECT_EQ(table.find(method::post, "/v1/things").found->verb, method::post);
    EXPECT_EQ(table.find(method::head, "/v1/things").found->verb, method::get);
    EXPECT_EQ(table.find(method::get, "/v1/things/" + id).ids.at(0).text(), id);
    EXPECT_EQ(table.find(method::get, "/v1/boards/level").names.at(0), "level");
    EXPECT_NE(table.find(method::get, "/").found, nullptr);
    const match wrong = table.find(method::delete_, "/v1/things");
    EXPECT_EQ(wrong.found, nullptr);
    EXPECT_EQ(wrong.allowed, "GET, HEAD, POST, OPTIONS");
    for (const char* nowhere :
         {"/v1", "/v1/things/7", "/v1/things/", "/v1/boards/Level", "/v1/boards/a%2fb",
          "/v1/boards/..", "/V1/things", "/v1/things/0190cb5e-0000-7000-8000-000000000001/x"}) {
        EXPECT_TRUE(table.find(method::get, nowhere).allowed.empty()) << nowhere;
    }
}

TEST(router, matches_segments_percent_decoded) {
    const router table({at(method::get, "/v1/my-things"),
                        at(method::get, "/v1/boards/{board:name}"),
                        at(method::get, "/v1/things/{id:uuid}")});
    EXPECT_NE(table.find(method::get, "/v1/my%2Dthings").found, nullptr);
    EXPECT_NE(table.find(method::get, "/%761/m%79%2dthings").found, nullptr);
    EXPECT_EQ(table.find(method::get, "/v1/boards/a%2Db").names.at(0), "a-b");
    EXPECT_EQ(
        table.find(method::get, "/v1/things/0190cb5e%2D0000-7000-8000-00000000000%31").ids.size(),
        1u);
    for (const char* nowhere : {"/v1%2Fmy-things", "/v1/boards/a%2Fb", "/v1/boards/%2E%2E",
                                "/v1/my%252Dthings", "/v1/boards/%41"}) {
        const match got = table.find(method::get, nowhere);
        EXPECT_TRUE(got.found == nullptr && !got.malformed) << nowhere;
    }
    for (const char* broken : {"/v1/my%2", "/v1/my%zz", "/%", "/v1/%00", "/x/y/%0a"}) {
        EXPECT_TRUE(table.find(method::get, broken).malformed) << broken;
    }
}

TEST(json_bodies, name_a_key_that_is_repeated) {
    EXPECT_EQ(repeated_key(R"({"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]})"), std::nullopt);
    EXPECT_EQ(repeated_key(R"("text")"), std::nullopt);
    EXPECT_EQ(repeated_key(R"({"a":1,"b":2,"a":3})"), "a");
    EXPECT_EQ(repeated_key(R"({"b":[1,{"x":{},"x":null}]})"), "x");
    EXPECT_EQ(repeated_key(R"({"na\u006de":"one","name":"two"})"), "name");
}

TEST(rate_limiter, gives_the_burst_then_the_rate) {
    base::manual_clock clock(base::utc_time{});
    rate_settings settings;
    settings.log_in = {2, 3};
    rate_limiter limiter(settings, clock);
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(limiter.take(rate_class::log_in, "a"));
    }
    const base::status refused = limiter.take(rate_class::log_in, "a");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errc::rate_limited);
    EXPECT_NEAR(refused.error().retry_after_ms, 500, 2);
    EXPECT_TRUE(limiter.take(rate_class::log_in, "b"));  // another source
    EXPECT_TRUE(limiter.take(rate_class::command, "a")); // another class
    clock.advance(std::chrono::milliseconds(501));
    EXPECT_TRUE(limiter.take(rate_class::log_in, "a"));
    EXPECT_FALSE(limiter.take(rate_class::log_in, "a"));
    clock.advance(std::chrono::seconds(100));
    int granted = 0;
    while (limiter.take(rate_class::log_in, "a")) {
        ++granted;
    }
    EXPECT_EQ(granted, 3);
}

TEST(rate_limiter, zero_is_unlimited_and_memory_is_bounded) {
    base::manual_clock clock(base::utc_time{});
    rate_settings settings;
    settings.request = {0, 0};
    settings.log_in = {1, 2};
    settings.entries_max = 64;
    rate_limiter limiter(settings, clock);
    for (int i = 0; i < 10'000; ++i) {
        EXPECT_TRUE(limiter.take(rate_class::request, "a"));
        EXPECT_TRUE(limiter.take(rate_class::log_in, std::to_string(i)));
    }
}

TEST(problem, maps_every_code) {
    EXPECT_EQ(status_of(errc::rejected), 409u);
    EXPECT_EQ(status_of(errc::mismatch), 422u);
    EXPECT_EQ(status_of(errc::conflict), 412u);
    EXPECT_EQ(status_of(errc::unknown_outcome), 503u);
    const response got =
        to_problem({errc::rejected, "Too \"tired\".\n", "not_enough_energy", "energy", 0}, "id-1");
    const auto body = base::parse_json(got.body);
    ASSERT_TRUE(body);
    const auto& o = body->as_object();
    EXPECT_EQ(got.status, 409u);
    EXPECT_EQ(o.at("code"), "not_enough_energy");
    EXPECT_EQ(o.at("type"), "urn:immortal:problem:not_enough_energy");
    EXPECT_EQ(o.at("field"), "energy");
    EXPECT_EQ(o.at("requestId"), "id-1");
    EXPECT_EQ(o.at("title"), "Conflict");
}

TEST(problem, hides_what_is_behind_a_500_and_says_when_to_retry) {
    const response hidden = to_problem({errc::internal, "SELECT secret", {}, {}, 0}, "id");
    EXPECT_EQ(hidden.body.find("SELECT"), std::string::npos);
    EXPECT_NE(to_problem({errc::behind, "m", {}, {}, 1'500}, "id").headers.find("Retry-After: 2"),
              std::string::npos);
    const response remade = to_problem({errc::unavailable, "m", "index_damaged", {}, 2'500}, "id");
    EXPECT_EQ(remade.status, 503u);
    EXPECT_NE(remade.headers.find("Retry-After: 3"), std::string::npos);
    EXPECT_NE(remade.body.find("index_damaged"), std::string::npos);
    EXPECT_NE(to_problem({errc::rate_limited, "m", {}, {}, 0}, "id").headers.find("Retry-After: 1"),
              std::string::npos);
}

TEST(response, header_values_cannot_begin_a_line) {
    response out;
    out.add_header("Location", "/a\r\nEvil: 1\n\x7f\xff");
    EXPECT_EQ(out.headers, "Location: /aEvil: 1\r\n");
}

TEST(checks, tokens_and_tags) {
    EXPECT_EQ(*bearer_token("Bearer abc"), "abc");
    EXPECT_EQ(*bearer_token("bEARER abc"), "abc");
    EXPECT_EQ(*bearer_token("Bearer   abc"), "abc");
    for (const std::string& bad :
         {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Bearer    "),
          std::string("Bearer\tabc"), std::string("Basic abc"), std::string("Bearer a b"),
          "Bearer " + std::string(300, 'a'), std::string("Bearer \x01")}) {
        EXPECT_FALSE(bearer_token(bad)) << bad;
    }
    EXPECT_TRUE(matches_tag("\"a\"", "a"));
    EXPECT_TRUE(matches_tag("W/\"a\", \"b\"", "b"));
    EXPECT_TRUE(matches_tag("*", "b"));
    EXPECT_FALSE(matches_tag("\"a\", b", "b"));
    EXPECT_FALSE(matches_tag("", "b"));
}

class idle_connection final : public connection {
public:
    void expire() override {}
    void wind_down() override {}
    void drop() override {}
};

// Neither while they are there nor when they go.
TEST(connection_table, a_proxy_takes_nothing_of_its_neighbours_share) {
    const source_address proxy{"2001:db8::1", "2001:db8::/64"};
    const source_address neighbour{"2001:db8::2", "2001:db8::/64"};
    connection_table table({.total = 16, .per_source = 2, .proxies = {proxy.text}});
    std::vector<std::shared_ptr<connection>> carried;
    for (int i = 0; i < 4; ++i) {
        carried.push_back(std::make_shared<idle_connection>());
        ASSERT_EQ(table.admit(carried.back(), proxy), connection_table::verdict::admitted);
    }
    std::vector<std::shared_ptr<connection>> own;
    for (int i = 0; i < 2; ++i) {
        own.push_back(std::make_shared<idle_connection>());
        EXPECT_EQ(table.admit(own.back(), neighbour), connection_table::verdict::admitted) << i;
    }
    const auto last = std::make_shared<idle_connection>();
    EXPECT_EQ(table.admit(last, neighbour), connection_table::verdict::source_full);
    for (const auto& one : carried) {
        table.remove(*one, proxy);
    }
    EXPECT_EQ(table.admit(last, neighbour), connection_table::verdict::source_full);
    table.remove(*own.front(), neighbour);
    EXPECT_EQ(table.admit(last, neighbour), connection_table::verdict::admitted);
}

} // namespace
} // namespace immortal::api
