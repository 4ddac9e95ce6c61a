// The parser alone: what it accepts must not depend on how the bytes were cut into pieces.
#include "api/request_parser.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace immortal::api {
namespace {

using progress = request_parser::progress;

struct outcome {
    progress what = progress::need_more;
    std::size_t consumed = 0;
    method verb = method::get;
    std::string target;
    std::string body;
    std::string authorization;
    friend bool operator==(const outcome&, const outcome&) = default;
};

// Feeds `text` in pieces of random size up to `piece_max`, as a connection does.
outcome feed(const std::string& text, std::size_t piece_max, std::mt19937_64& dice) {
    request_parser parser(
        {.header_size_max = 2'048, .header_fields_max = 16, .body_size_max = 1'024});
    outcome out;
    std::size_t arrived = 0;
    while (out.what == progress::need_more && arrived < text.size()) {
        arrived = std::min(text.size(), arrived + 1 + dice() % piece_max);
        std::size_t consumed = 0;
        out.what = parser.put({text.data() + out.consumed, arrived - out.consumed}, consumed);
        out.consumed += consumed;
    }
    if (out.what == progress::done) {
        const request& got = parser.message();
        out.verb = got.verb;
        out.target = got.target;
        out.body = got.body;
        out.authorization = got.authorization;
    }
    return out;
}

const std::vector<std::string>& seeds() {
    static const std::vector<std::string> all = {
        "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "a\r\n\r\n \r\n\r\nabcd\r\n1\r\nz\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n\r\n a\r\n\r\nGET /",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "DELETE /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: y\r\n\r\n",
    };
    return all;
}

std::string mutated(std::string text, std::mt19937_64& dice) {
    static const std::vector<std::string> pieces = {"\r\n",
                                                    "\n",
                                                    "\r",
                                                    " ",
                                                    "\t",
                                                    ":",
                                                    "0",
                                                    "chunked",
                                                    "Transfer-Encoding: chunked\r\n",
                                                    "Content-Length: 3\r\n",
                                                    ";",
                                                    "\r\n\r\n",
                                                    ",",
                                                    std::string(1, '\0'),
                                                    "ffffffff",
                                                    std::string(600, 'x')};
    for (std::size_t times = dice() % 4; times > 0; --times) {
        const std::size_t at = dice() % (text.size() + 1);
        switch (dice() % 4) {
        case 0:
            text.insert(at, pieces[dice() % pieces.size()]);
            break;
        case 1:
            text.erase(at, 1 + dice() % 4);
            break;
        case 2:
            text.insert(at, text.substr(dice() % (text.size() + 1), 1 + dice() % 20));
            break;
        default:
            if (at < text.size()) {
                text[at] = static_cast<char>(dice());
            }
        }
    }
    return text;
}

TEST(request_parser, does_not_depend_on_how_bytes_are_cut) {
    const std::uint64_t seed = std::random_device{}();
    std::mt19937_64 dice(seed);
    std::size_t accepted = 0;
    for (int i = 0; i < 60'000; ++i) {
        const std::string text = mutated(seeds()[dice() % seeds().size()], dice);
        const outcome whole = feed(text, 1 << 20, dice);
        const outcome cut = feed(text, 1 + dice() % 9, dice);
        accepted += whole.what == progress::done ? 1 : 0;
        // A refusal may come earlier or later; an acceptance must be the same.
        if (whole.what == progress::done || cut.what == progress::done) {
            ASSERT_TRUE(whole == cut) << "seed " << seed << ":\n" << text;
        }
    }
    EXPECT_GT(accepted, 10'000u);
}

// The last chunk in two pieces, the first of three or four bytes.
TEST(request_parser, takes_a_last_chunk_in_any_pieces) {
    const std::string& text = seeds()[5];
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
        for (std::size_t second = cut; second < text.size(); ++second) {
            request_parser parser({});
            std::size_t done_with = 0;
            progress what = progress::need_more;
            for (const std::size_t arrived : {cut, second, text.size()}) {
                std::size_t consumed = 0;
                what = parser.put({text.data() + done_with, arrived - done_with}, consumed);
                done_with += consumed;
            }
            ASSERT_EQ(what, progress::done) << cut << " " << second;
        }
    }
}

TEST(request_parser, says_what_is_wrong_with_the_framing) {
    const auto code = [](const std::string& fields) {
        request_parser parser({});
        std::size_t consumed = 0;
        EXPECT_EQ(parser.put("POST /a HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n", consumed),
                  progress::failed)
            << fields;
        return std::string(parser.error().code);
    };
    const std::string length = "Content-Length: ";
    const std::string encoding = "Transfer-Encoding: chunked\r\n";
    for (const char* bad :
         {"x", "-1", "+1", "1 2", "0x3", "1.0", "", "99999999999999999999999", "3,3"}) {
        EXPECT_EQ(code(length + bad + "\r\n"), "bad_content_length") << bad;
    }
    EXPECT_EQ(code(length + "3\r\n" + encoding), "bad_framing");
    EXPECT_EQ(code(encoding + length + "3\r\n"), "bad_framing");
    EXPECT_EQ(code(length + "3\r\n" + length + "3\r\n"), "repeated_header");
    EXPECT_EQ(code(length + "3\r\n" + length + "4\r\n"), "repeated_header");
    EXPECT_EQ(code(encoding + encoding), "repeated_header");
    EXPECT_EQ(code("Transfer-Encoding: gzip\r\n"), "bad_transfer_encoding");
}

TEST(request_parser, is_used_again_after_reset) {
    request_parser parser({});
    for (const std::string& text : {seeds()[1], seeds()[0], seeds()[2]}) {
        std::size_t consumed = 0;
        parser.reset();
        ASSERT_EQ(parser.put(text, consumed), progress::done);
        EXPECT_EQ(consumed, text.size());
    }
    EXPECT_EQ(parser.message().body, "abc");
    EXPECT_EQ(parser.message().authorization, "");
}

} // namespace
} // namespace immortal::api
