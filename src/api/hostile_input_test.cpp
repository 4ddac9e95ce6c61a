// Valid requests, mutated: no answer may be a 500 or tell anything of the inside, and the server
// must go on. IMMORTAL_LONG=1 runs ten times as many; a failure prints its seed.
#include "api/route_matrix.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

namespace immortal::api {
namespace {

using testing::account;
using testing::full_stack;
using testing::http_call;
using testing::matrix_row;
using testing::raw_answer;
using testing::raw_client;

const std::vector<std::string>& fragments() {
    static const std::vector<std::string> all = {
        "'",
        "\"",
        "';DROP TABLE users;--",
        "\\",
        "%00",
        "%",
        "%2e%2e%2f",
        "../",
        std::string(1, '\0'),
        "\r\n",
        "\r\nContent-Length: 5",
        "\r\nTransfer-Encoding: chunked",
        "9223372036854775808",
        "-1",
        "1e400",
        "NaN",
        "null",
        "{\"a\":{\"b\":[]}}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "\\u0000",
        "\\ud800",
        "\xff\xfe",
        "\xf0\x9f\x90\x89",
        "\xe2\x80\xae",
        "$1",
        "{}",
        "?after=1",
        "&mine",
        "/",
        "HTTP/9.9",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        std::string(2'000, 'a'),
        std::string(20'000, '0'),
    };
    return all;
}

class mutator {
public:
    explicit mutator(std::uint64_t seed) : dice_(seed) {}

    std::string mutate(std::string text) {
        for (std::size_t times = 1 + roll(3); times > 0; --times) {
            change(text);
        }
        return text;
    }

private:
    std::size_t roll(std::size_t sides) { return dice_() % sides; }

    void change(std::string& text) {
        const std::size_t at = roll(text.size() + 1);
        const std::size_t length = std::min(text.size() - at, 1 + roll(12));
        switch (roll(6)) {
        case 0:
            if (at < text.size()) {
                text[at] = static_cast<char>(text[at] ^ (1 << roll(8)));
            }
            break;
        case 1:
            text.erase(at, length);
            break;
        case 2:
            text.insert(at, fragments()[roll(fragments().size())]);
            break;
        case 3:
            text.replace(at, length, fragments()[roll(fragments().size())]);
            break;
        case 4:
            text.insert(at, text.substr(roll(text.size() + 1), length));
            break;
        default:
            text.insert(at, 1, static_cast<char>(roll(256)));
            break;
        }
    }

    std::mt19937_64 dice_;
};

class hostile_input_test : public ::testing::Test {
protected:
    // One valid call of each route; those that end an account are left out.
    std::vector<http_call> valid_calls() {
        std::vector<http_call> out;
        for (const matrix_row& row : testing::route_matrix()) {
            if (row.verb != method::delete_) {
                out.push_back(row.prepare(stack, owner));
            }
        }
        return out;
    }

    void expect_harmless(const raw_answer& got, const std::string& sent, std::uint64_t seed) {
        static const std::set<unsigned> known = {0,   200, 201, 204, 304, 400, 401, 403, 404,
                                                 405, 408, 409, 413, 415, 417, 422, 429, 431};
        ASSERT_TRUE(known.contains(got.status)) << got.status << " seed " << seed << "\n"
                                                << sent << "\n"
                                                << got.body;
        if (got.status < 400) {
            return;
        }
        for (const char* inside : {"SELECT", "INSERT", "psql", "libpq", "SQLSTATE", "exception",
                                   "/src/", ".cpp", "boost", "std::", "Redis", "postgres"}) {
            ASSERT_EQ(got.body.find(inside), std::string::npos)
                << inside << " seed " << seed << "\n"
                << got.body;
        }
    }

    full_stack stack;
    account owner = stack.new_account();
};

TEST_F(hostile_input_test, mutated_requests_do_no_harm) {
    const std::size_t rounds = std::getenv("IMMORTAL_LONG") != nullptr ? 200'000 : 20'000;
    const std::uint64_t seed = std::random_device{}();
    mutator change(seed);
    const std::vector<http_call> calls = valid_calls();
    std::size_t answered = 0;
    for (std::size_t i = 0; i < rounds; ++i) {
        http_call call = calls[i % calls.size()];
        // Half of the time only the parts that handlers see are changed, so that they are reached.
        if (i % 4 == 0 && !call.body.empty()) {
            call.body = change.mutate(call.body);
        } else if (i % 4 == 1) {
            std::string target = change.mutate(call.target);
            std::erase_if(target, [](char c) { return c <= ' ' || c > '~'; });
            call.target = target.empty() ? "/" : target;
        }
        std::string text = full_stack::text_of(call);
        if (i % 4 >= 2) {
            text = change.mutate(text);
        }
        raw_client client(stack.api().port());
        ASSERT_TRUE(client.connected());
        client.send(text);
        client.end(); // so that an incomplete request ends at once
        while (const auto got = client.receive(call.verb == method::head)) {
            ++answered;
            ASSERT_NO_FATAL_FAILURE(expect_harmless(*got, text, seed));
        }
    }
    EXPECT_GT(answered, rounds / 2);
    EXPECT_EQ(stack.ask({.target = "/healthz"}).status, 200u);
    EXPECT_EQ(stack.get("/v1/users/me", owner).status, 200u);
    EXPECT_EQ(stack.scratch().execute("SELECT count(*) > 0 FROM users"), "t");
}

} // namespace
} // namespace immortal::api
