#include "redis/endpoint.hpp"
#include "redis/resp.hpp"

#include <gtest/gtest.h>

namespace immortal::redis {

namespace {

std::string encoded(const command& c) {
    std::string out;
    encode(c, out);
    return out;
}

TEST(resp, commands_are_binary_safe) {
    EXPECT_EQ(encoded({"SET", "k", ""}), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    const std::string awkward("a\r\n\0b", 5);
    EXPECT_EQ(encoded({awkward}), "*1\r\n$5\r\n" + awkward + "\r\n");
}

TEST(resp, replies_are_read_however_they_are_cut) {
    using namespace std::string_literals;
    const std::string bytes = "+OK\r\n:-5\r\n$-1\r\n*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n"
                              "-ERR no\r\n$5\r\nx\r\ny\0\r\n*0\r\n*-1\r\n-ERR bad\r\n"s;
    for (std::size_t cut = 1; cut <= bytes.size(); ++cut) {
        reply_reader reader;
        std::vector<reply> got;
        for (std::size_t at = 0; at < bytes.size(); at += cut) {
            reader.feed(std::string_view(bytes).substr(at, cut));
            while (auto r = reader.next()) {
                got.push_back(std::move(*r));
            }
        }
        ASSERT_EQ(got.size(), 8u) << "cut " << cut;
        EXPECT_EQ(got[0].text, "OK");
        EXPECT_EQ(got[1].integer, -5);
        EXPECT_TRUE(got[2].is_nil());
        ASSERT_EQ(got[3].items.size(), 3u);
        EXPECT_EQ(got[3].items[0].text, "a");
        EXPECT_EQ(got[3].items[1].items[0].integer, 1);
        EXPECT_TRUE(got[3].items[1].items[1].is_nil());
        EXPECT_TRUE(got[3].items[2].is_error());
        EXPECT_EQ(got[4].text, std::string("x\r\ny\0", 5));
        EXPECT_EQ(got[5].what, reply::kind::array);
        EXPECT_TRUE(got[6].is_nil());
        EXPECT_EQ(got[7].text, "ERR bad");
        EXPECT_FALSE(reader.broken());
    }
}

TEST(resp, rubbish_breaks_the_reader_for_good) {
    reply_reader reader;
    reader.feed("HTTP/1.1 200 OK\r\n");
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.broken());
    reader.feed("+OK\r\n");
    EXPECT_FALSE(reader.next());
}

TEST(resp, an_unfinished_array_is_freed) {
    reply_reader reader;
    reader.feed("*3\r\n$1\r\na\r\n");
    EXPECT_FALSE(reader.next());
}

TEST(script, is_known_by_its_sha1) {
    EXPECT_EQ(script("return 1").digest(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

TEST(endpoint, every_form_of_uri_is_read) {
    const auto tcp = parse_endpoint("redis://user:p%40ss@example.org:7000/3").value();
    EXPECT_EQ(tcp.what, endpoint::kind::tcp);
    EXPECT_EQ(tcp.host + " " + tcp.port, "example.org 7000");
    EXPECT_EQ(tcp.user + " " + tcp.password, "user p@ss");
    EXPECT_EQ(tcp.database, 3u);
    const auto plain = parse_endpoint("redis://:secret@[::1]").value();
    EXPECT_EQ(plain.host + " " + plain.port, "::1 6379");
    EXPECT_EQ(plain.user + "/" + plain.password, "/secret");
    EXPECT_EQ(parse_endpoint("rediss://h").value().what, endpoint::kind::tls);
    const auto local = parse_endpoint("unix:///tmp/a%20b/redis.sock?db=2").value();
    EXPECT_EQ(local.what, endpoint::kind::unix_socket);
    EXPECT_EQ(local.host, "/tmp/a b/redis.sock");
    EXPECT_EQ(local.database, 2u);
}

TEST(endpoint, bad_uris_are_refused_without_their_secrets) {
    for (const auto* uri :
         {"", "localhost:6379", "http://h", "redis://", "redis://h/x", "unix://",
          "unix:///s?timeout=1", "redis://user@h", "redis://:s3cret@h:x", "redis://h:70000"}) {
        const auto got = parse_endpoint(uri);
        ASSERT_FALSE(got) << uri;
        EXPECT_EQ(got.error().code, base::errc::invalid_argument);
        EXPECT_EQ(got.error().message.find("s3cret"), std::string::npos);
    }
}

} // namespace
} // namespace immortal::redis
