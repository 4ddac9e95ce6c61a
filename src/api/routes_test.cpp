// Every route of the table, every way to call it wrongly. A route without a row in the matrix, or
// a row without a route, fails.
#include "api/route_matrix.hpp"
#include "api/uri.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace immortal::api {
namespace {

using base::json::object;
using testing::account;
using testing::full_stack;
using testing::http_call;
using testing::matrix_row;
using testing::member;
using testing::raw_answer;
using testing::route_matrix;

class routes_test : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        stack = new full_stack;
        owner = stack->new_account();
        other = stack->new_account();
    }
    static void TearDownTestSuite() {
        delete stack;
        stack = nullptr;
    }

    static const route& route_of(const matrix_row& row) {
        const auto& all = stack->api().routes();
        const auto found = std::ranges::find_if(
            all, [&](const route& r) { return r.verb == row.verb && r.pattern == row.pattern; });
        EXPECT_NE(found, all.end()) << row.pattern;
        return *found;
    }
    static std::string label(const matrix_row& row) {
        return std::string(name_of(row.verb)) + " " + row.pattern;
    }
    static bool has_fields(const route& r) {
        return r.body != needs_body::none && !properties(r).empty();
    }
    static object properties(const route& r) {
        const auto* found = r.body_schema.if_contains("properties");
        return found != nullptr ? found->get_object() : object{};
    }
    static object parsed(const std::string& body) {
        return body.empty() ? object{} : base::parse_json(body)->get_object();
    }
    // The call with another body, answered 422 naming `field`.
    static void expect_invalid(const matrix_row& row, http_call call, const object& body,
                               std::string_view field) {
        call.body = base::json::serialize(body);
        const raw_answer got = stack->ask(call);
        EXPECT_EQ(got.status, 422u) << label(row) << " " << call.body.substr(0, 300) << got.body;
        EXPECT_EQ(member(got, "field"), field) << label(row) << " " << got.body;
    }

    static full_stack* stack;
    static account owner;
    static account other;
};

full_stack* routes_test::stack = nullptr;
account routes_test::owner;
account routes_test::other;

TEST_F(routes_test, the_matrix_covers_the_table) {
    const auto& all = stack->api().routes();
    EXPECT_EQ(all.size(), route_matrix().size());
    for (const route& r : all) {
        EXPECT_EQ(std::ranges::count_if(route_matrix(),
                                        [&](const matrix_row& row) {
                                            return row.verb == r.verb && row.pattern == r.pattern;
                                        }),
                  1)
            << name_of(r.verb) << " " << r.pattern;
    }
}

TEST_F(routes_test, success_is_as_described) {
    for (const matrix_row& row : route_matrix()) {
        const route& r = route_of(row);
        const raw_answer got = stack->ask(row.prepare(*stack, owner));
        EXPECT_EQ(got.status, r.success) << label(row) << " " << got.body;
        EXPECT_EQ(got.headers.at("x-content-type-options"), "nosniff");
        if (r.success == 204) {
            EXPECT_EQ(got.body, "") << label(row);
            continue;
        }
        const auto* required = r.answer_schema.if_contains("required");
        if (required != nullptr) {
            for (const auto& name : required->get_array()) {
                EXPECT_NE(member(got, name.get_string()), "")
                    << label(row) << " lacks " << name << ": " << got.body.substr(0, 300);
            }
        }
        if (r.limit == rate_class::command && r.success != 204) {
            EXPECT_EQ(got.headers.at("immortal-position"), member(got, "position")) << label(row);
        }
    }
}

TEST_F(routes_test, nobody_is_let_in_without_a_session) {
    for (const matrix_row& row : route_matrix()) {
        const route& r = route_of(row);
        if (r.needs == access::anyone || r.needs == access::machine) {
            continue;
        }
        http_call call = row.prepare(*stack, owner);
        for (const std::string& token : {std::string(), std::string(64, '0'), std::string("x"),
                                         std::string("' OR 1=1 --"), std::string(400, 'a')}) {
            call.token = token;
            const raw_answer got = stack->ask(call);
            EXPECT_EQ(got.status, 401u) << label(row) << " " << token << got.body;
            EXPECT_TRUE(got.headers.contains("www-authenticate")) << label(row);
        }
    }
}

TEST_F(routes_test, another_accounts_things_are_out_of_reach) {
    for (const matrix_row& row : route_matrix()) {
        if (row.for_others == 0) {
            continue;
        }
        http_call call = row.prepare(*stack, owner);
        call.token = other.token;
        const raw_answer got = stack->ask(call);
        EXPECT_EQ(got.status, row.for_others) << label(row) << " " << got.body;
        for (const char* hidden : {"\"gold\"", "\"userId\"", "\"energy\"", "\"spiritStones\""}) {
            const bool public_by_design = row.pattern.ends_with("/statistics");
            EXPECT_TRUE(public_by_design || got.body.find(hidden) == std::string::npos)
                << label(row) << " tells " << hidden;
        }
    }
}

TEST_F(routes_test, malformed_bodies_are_refused) {
    for (const matrix_row& row : route_matrix()) {
        const route& r = route_of(row);
        http_call call = row.prepare(*stack, owner);
        if (r.body == needs_body::none) {
            call.body = "{}";
            EXPECT_EQ(stack->ask(call).status, 400u) << label(row);
            continue;
        }
        for (const char* bad : {"{", "nonsense", "{\"a\":}", "{\"a\":1}}", "\"\\ud800\"", "{'a':1}",
                                "[1,]", "\x80"}) {
            call.body = bad;
            const raw_answer got = stack->ask(call);
            EXPECT_EQ(got.status, 400u) << label(row) << " " << bad << got.body;
            EXPECT_EQ(member(got, "code"), "malformed_json") << label(row);
        }
        call.body = std::string(40, '[') + std::string(40, ']');
        EXPECT_EQ(stack->ask(call).status, 400u) << label(row);
        for (const char* bad : {"[]", "7", "null", "\"text\"", "true"}) {
            call.body = bad;
            const raw_answer got = stack->ask(call);
            EXPECT_EQ(got.status, 422u) << label(row) << " " << bad;
            EXPECT_EQ(member(got, "code"), "invalid_request") << label(row) << " " << bad;
        }
        call.body = "{}" + std::string(70'000, ' ');
        EXPECT_EQ(stack->ask(call).status, 413u) << label(row);
    }
}

TEST_F(routes_test, wrong_fields_are_named) {
    for (const matrix_row& row : route_matrix()) {
        const route& r = route_of(row);
        if (r.body == needs_body::none) {
            continue;
        }
        const http_call call = row.prepare(*stack, owner);
        const object good = parsed(call.body);
        object changed = good;
        changed["surprise"] = 1;
        expect_invalid(row, call, changed, "surprise");
        for (const auto& [name, schema] : properties(r)) {
            for (const base::json::value& wrong :
                 {base::json::value(7), base::json::value(base::json::array{}),
                  base::json::value(object{}), base::json::value(false)}) {
                changed = good;
                changed[name] = wrong;
                expect_invalid(row, call, changed, name);
            }
            changed = good;
            changed[name] = std::string(5'000, 'a');
            expect_invalid(row, call, changed, name);
            if (schema.at("type") == "string" && schema.as_object().contains("format")) {
                changed[name] = "not-an-id";
                expect_invalid(row, call, changed, name);
            }
        }
        if (const auto* required = r.body_schema.if_contains("required")) {
            for (const auto& name : required->get_array()) {
                changed = good;
                changed.erase(name.get_string());
                expect_invalid(row, call, changed, name.get_string());
            }
        }
    }
}

TEST_F(routes_test, other_methods_are_named_and_refused) {
    for (const matrix_row& row : route_matrix()) {
        http_call call = row.prepare(*stack, owner);
        call.body.clear();
        for (const method verb : {method::put, method::patch, method::other}) {
            call.verb = verb;
            const raw_answer got = stack->ask(call);
            EXPECT_EQ(got.status, 405u) << label(row);
            EXPECT_NE(got.headers.at("allow").find(name_of(row.verb)), std::string::npos);
        }
        call.verb = method::options;
        EXPECT_EQ(stack->ask(call).status, 204u) << label(row);
        if (row.verb == method::get) {
            call.verb = method::head;
            const raw_answer got = stack->ask(call);
            EXPECT_EQ(got.status, 200u) << label(row);
            EXPECT_NE(got.headers.at("content-length"), "0") << label(row);
        }
    }
}

TEST_F(routes_test, unknown_ids_are_not_found) {
    const std::string unknown = "00000000-0000-4000-8000-00000000dead";
    for (const matrix_row& row : route_matrix()) {
        http_call call = row.prepare(*stack, owner);
        bool replaced = false;
        std::string path = call.target.substr(0, call.target.find('?'));
        for (std::size_t at = 0; at + 36 <= path.size(); ++at) {
            if (path[at - (at > 0)] == '/' && base::uuid::parse(path.substr(at, 36))) {
                path.replace(at, 36, unknown);
                replaced = true;
            }
        }
        if (replaced) {
            call.target = path;
            const raw_answer got = stack->ask(call);
            EXPECT_EQ(got.status, 404u) << label(row) << " " << got.body;
            call.target.replace(path.find(unknown), 36, "not-an-id");
            EXPECT_EQ(stack->ask(call).status, 404u) << label(row);
        }
        object body = row.verb == method::post ? parsed(call.body) : object{};
        if (body.contains("playerId")) {
            body["playerId"] = unknown;
            call.body = base::json::serialize(body);
            EXPECT_EQ(stack->ask(call).status, 404u) << label(row);
        }
    }
}

TEST_F(routes_test, unknown_and_wrong_parameters_are_refused) {
    for (const matrix_row& row : route_matrix()) {
        const route& r = route_of(row);
        http_call call = row.prepare(*stack, owner);
        const std::string plain = call.target;
        const char mark = plain.find('?') == std::string::npos ? '?' : '&';
        call.target = plain + mark + "surprise=1";
        EXPECT_EQ(stack->ask(call).status, 422u) << label(row);
        call.target = plain + mark + "a=%zz";
        EXPECT_EQ(stack->ask(call).status, 400u) << label(row);
        for (const query_rule& rule : r.query) {
            const std::string path = plain.substr(0, plain.find('?'));
            for (const char* wrong : {"x", "-1", "1e3", "99999999999999999999", "%00", "1%20"}) {
                call.target = path + "?" + rule.name + "=" + wrong;
                const raw_answer got = stack->ask(call);
                EXPECT_TRUE(got.status == 422 || got.status == 400)
                    << label(row) << call.target << got.status << got.body;
            }
            if (rule.name == "after" || rule.name == "at") { // beyond the end of the log
                call.target = path + "?" + rule.name + "=999999999" +
                              (plain.ends_with("?mine") ? "&mine" : "");
                const raw_answer got = stack->ask(call);
                EXPECT_EQ(got.status, 422u) << label(row) << got.body;
                EXPECT_EQ(member(got, "code"), "invalid_parameter") << label(row);
                EXPECT_EQ(member(got, "field"), rule.name) << label(row);
            }
        }
    }
}

TEST_F(routes_test, a_repeated_command_gives_its_first_answer) {
    for (const matrix_row& row : route_matrix()) {
        const route& r = route_of(row);
        if (r.key == keyed::no) {
            continue;
        }
        http_call call = row.prepare(*stack, owner);
        call.key = stack->unique("key-");
        const raw_answer first = stack->ask(call);
        EXPECT_EQ(first.status, r.success) << label(row) << first.body;
        EXPECT_EQ(first.headers.at("idempotency-key"), call.key);
        EXPECT_FALSE(first.headers.contains("idempotent-replayed")) << label(row);
        const raw_answer again = stack->ask(call);
        EXPECT_EQ(again.status, first.status) << label(row) << again.body;
        EXPECT_EQ(again.body, first.body) << label(row);
        if (row.key_of_account) {
            EXPECT_EQ(again.headers.at("idempotent-replayed"), "true") << label(row);
            http_call another = row.prepare(*stack, owner);
            another.key = call.key;
            const raw_answer got = stack->ask(another);
            EXPECT_EQ(got.status, 422u) << label(row) << got.body;
            EXPECT_EQ(member(got, "code"), "idempotency_key_reused") << label(row);
        }
        call.key = std::string(129, 'k');
        EXPECT_EQ(stack->ask(call).status, 422u) << label(row);
    }
}

TEST_F(routes_test, only_json_is_taken) {
    for (const matrix_row& row : route_matrix()) {
        const route& r = route_of(row);
        if (!has_fields(r)) {
            continue;
        }
        const http_call call = row.prepare(*stack, owner);
        std::string text = full_stack::text_of(call);
        text.replace(text.find("application/json"), 16, "application/xjso");
        testing::raw_client client(stack->api().port());
        EXPECT_EQ(client.ask(text).status, 415u) << label(row);

        const http_call fresh = row.prepare(*stack, owner);
        text = full_stack::text_of(fresh);
        const auto line = text.find("Content-Type:");
        ASSERT_NE(line, std::string::npos);
        text.erase(line, text.find("\r\n", line) + 2 - line);
        testing::raw_client silent(stack->api().port());
        EXPECT_EQ(silent.ask(text).status, r.success) << label(row);
    }
}

} // namespace
} // namespace immortal::api
