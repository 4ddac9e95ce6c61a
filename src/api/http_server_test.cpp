#include "api/hostile_requests.hpp"
#include "api/http_server.hpp"
#include "api/raw_client.hpp"
#include "base/patience_testing.hpp"
#include "runtime/async_event.hpp"
#include "runtime/deadline.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace immortal::api {
namespace {

using testing::broken_syntax;
using testing::contradicting_lengths;
using testing::post;
using testing::raw_answer;
using testing::raw_client;
using testing::request_text;

constexpr std::size_t large_size = 64'000'000; // more than the sockets take up

// Answers "<METHOD> <target> <body>"; some targets misbehave.
class http_server_test : public ::testing::Test {
protected:
    http_server_test() { settings.port = 0; }
    ~http_server_test() override {
        gate.notify_all();
        if (server) {
            engine.run(server->stop(milliseconds(100)));
        }
        engine.stop();
    }

    static awaitable<response> echo(http_server_test* self, const request& asked) {
        ++self->served;
        if (asked.target == "/throw") {
            throw std::runtime_error("secret detail");
        }
        if (asked.target.starts_with("/wait")) {
            ++self->waiting;
            co_await self->gate.wait(0, milliseconds(60'000));
        }
        response out;
        out.content_type = "text/plain";
        out.body = std::string(name_of(asked.verb)) + " " + asked.target + " " + asked.body;
        if (asked.target.ends_with("large")) {
            out.body.assign(large_size, 'x');
        }
        out.add_header("Seen-Source", asked.source.text);
        co_return out;
    }

    std::uint16_t start() {
        server.emplace(
            engine.executor(), settings, [this](const request& asked) { return echo(this, asked); },
            metrics);
        engine.start();
        const base::status started = server->start();
        EXPECT_TRUE(started) << started.error().message;
        return server->port();
    }

    raw_answer ask(std::string_view bytes) { return raw_client(server->port()).ask(bytes); }

    void wait_until(const std::atomic<int>& number, int at_least) {
        EXPECT_TRUE(base::comes_true([&] { return number >= at_least; }));
    }

    http_settings settings;
    base::metrics metrics;
    runtime::engine engine{{.threads = 2}};
    runtime::async_event gate;
    std::optional<http_server> server;
    std::atomic<int> served{0};
    std::atomic<int> waiting{0};
};

TEST_F(http_server_test, answers_on_both_loopback_addresses) {
    const auto port = start();
    EXPECT_EQ(raw_client(port).ask(request_text("GET", "/a?b=1")).body, "GET /a?b=1 ");
    raw_client six(port, "::1");
    if (six.connected()) {
        EXPECT_EQ(six.ask(request_text("POST", "/a", "{}")).headers["seen-source"], "::1");
    }
}

TEST_F(http_server_test, keeps_the_connection_and_answers_pipelined_requests_in_order) {
    raw_client client(start());
    std::string all;
    for (int i = 0; i < 50; ++i) {
        all += request_text("POST", "/" + std::to_string(i), "body" + std::to_string(i));
    }
    client.send(all);
    for (int i = 0; i < 50; ++i) {
        const auto got = client.receive();
        ASSERT_TRUE(got);
        EXPECT_EQ(got->body, "POST /" + std::to_string(i) + " body" + std::to_string(i));
    }
}

TEST_F(http_server_test, reads_a_request_that_arrives_byte_by_byte) {
    raw_client client(start());
    for (const char c : request_text("POST", "/slow", "{\"a\":1}")) {
        client.send({&c, 1});
    }
    EXPECT_EQ(client.receive()->body, "POST /slow {\"a\":1}");
    const std::string chunked = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
    for (const char c : chunked) {
        client.send({&c, 1});
    }
    EXPECT_EQ(client.receive()->body, "POST /c abc0123456789abcdef");
}

TEST_F(http_server_test, sends_security_headers_and_no_banner) {
    start();
    raw_answer got = ask(request_text("GET", "/"));
    EXPECT_EQ(got.headers["x-content-type-options"], "nosniff");
    EXPECT_TRUE(got.headers.contains("content-security-policy"));
    EXPECT_TRUE(got.headers.contains("date"));
    EXPECT_FALSE(got.headers.contains("server"));
    EXPECT_EQ(got.head.find("Beast"), std::string::npos);
    EXPECT_EQ(got.headers["x-request-id"].size(), 16u);
    got = ask(request_text("GET", "/", {}, "X-Request-Id: abc-1\r\n"));
    EXPECT_EQ(got.headers["x-request-id"], "abc-1");
    got = ask(request_text("GET", "/", {}, "X-Request-Id: a b\"<>\r\n"));
    EXPECT_EQ(got.headers["x-request-id"].size(), 16u);
}

TEST_F(http_server_test, head_has_the_length_but_no_body) {
    raw_client client(start());
    const raw_answer got = client.ask(request_text("HEAD", "/abc"), true);
    EXPECT_EQ(got.status, 200u);
    EXPECT_EQ(got.headers.at("content-length"), "10");
    EXPECT_EQ(client.ask(request_text("GET", "/next")).body, "GET /next ");
}

TEST_F(http_server_test, closes_when_asked_and_for_http_1_0) {
    const auto port = start();
    raw_client one(port);
    EXPECT_EQ(one.ask(request_text("GET", "/", {}, "Connection: close\r\n")).headers["connection"],
              "close");
    EXPECT_TRUE(one.closed());
    raw_client two(port);
    EXPECT_EQ(two.ask("GET / HTTP/1.0\r\n\r\n").status, 200u);
    EXPECT_TRUE(two.closed());
}

TEST_F(http_server_test, says_continue_once) {
    raw_client client(start());
    client.send("POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(client.receive(false, true)->status, 100u);
    client.send("o");
    client.send("k");
    EXPECT_EQ(client.receive(false, true)->body, "POST /e ok");
}

TEST_F(http_server_test, limits_header_fields_and_body) {
    settings.body_size_max = 1'000;
    start();
    const std::string long_line = "X-Long: " + std::string(20'000, 'a') + "\r\n";
    EXPECT_EQ(ask(request_text("GET", "/", {}, long_line)).status, 431u);
    EXPECT_EQ(ask("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n").status,
              431u);
    std::string many;
    for (int i = 0; i < 100; ++i) {
        many += "X-A: b\r\n";
    }
    EXPECT_EQ(ask(request_text("GET", "/", {}, many)).status, 431u);
    std::string spread; // each line short, all together too long, sent piece by piece
    raw_client client(server->port());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 30; ++i) {
        client.send("X-" + std::to_string(i) + ": " + std::string(1'000, 'b') + "\r\n");
    }
    EXPECT_EQ(client.receive().value_or(raw_answer{}).status, 431u);
    EXPECT_EQ(ask(request_text("POST", "/", std::string(1'000, 'a'))).status, 200u);
    const raw_answer got = ask(request_text("POST", "/", std::string(1'001, 'a')));
    EXPECT_EQ(got.status, 413u);
    EXPECT_EQ(got.headers.at("content-type"), "application/problem+json");
    EXPECT_NE(got.body.find("\"code\":\"body_too_large\""), std::string::npos);
    EXPECT_EQ(
        ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFF\r\n").status,
        413u);
    const std::string huge = std::to_string(UINT64_MAX);
    EXPECT_EQ(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + huge + "\r\n\r\n").status,
              413u);
}

TEST_F(http_server_test, an_exception_is_a_500_without_details) {
    raw_client client(start());
    const raw_answer got = client.ask(request_text("GET", "/throw"));
    EXPECT_EQ(got.status, 500u);
    EXPECT_EQ(got.body.find("secret"), std::string::npos);
    EXPECT_EQ(client.ask(request_text("GET", "/after")).status, 200u);
}

TEST_F(http_server_test, slow_requests_are_answered_408) {
    settings.read_timeout = milliseconds(80);
    const auto port = start();
    raw_client header(port);
    EXPECT_EQ(header.ask("GET / HT").status, 408u);
    EXPECT_TRUE(header.closed());
    raw_client body(port);
    EXPECT_EQ(body.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab").status, 408u);
    EXPECT_EQ(served, 0);
}

TEST_F(http_server_test, idle_connections_are_closed_in_silence) {
    settings.idle_timeout = milliseconds(80);
    const auto port = start();
    raw_client fresh(port);
    EXPECT_TRUE(fresh.closed());
    raw_client used(port);
    EXPECT_EQ(used.ask(request_text("GET", "/")).status, 200u);
    EXPECT_TRUE(used.closed());
}

TEST_F(http_server_test, a_client_that_does_not_read_is_dropped) {
    settings.write_timeout = milliseconds(80);
    raw_client client(start());
    client.send(request_text("GET", "/large"));
    wait_until(served, 1);
    EXPECT_TRUE(base::comes_true([&] { return server->connections() == 0; }))
        << "nothing is read here meanwhile";
    SUCCEED();
}

TEST_F(http_server_test, a_handler_over_its_time_is_answered_503) {
    settings.request_timeout = milliseconds(80);
    raw_client client(start());
    const raw_answer got = client.ask(request_text("GET", "/wait"));
    EXPECT_EQ(got.status, 503u);
    EXPECT_EQ(got.headers.at("retry-after"), "1");
    EXPECT_TRUE(client.closed());
    EXPECT_EQ(server->connections(), 1u); // the work goes on
    gate.notify_all();
    EXPECT_TRUE(base::comes_true([&] { return server->connections() == 0; }));
}

TEST_F(http_server_test, bounds_connections_per_source_and_in_total) {
    settings.connections_per_source_max = 3;
    const auto port = start();
    std::vector<raw_client> held;
    for (int i = 0; i < 3; ++i) {
        held.emplace_back(port);
        EXPECT_EQ(held.back().ask(request_text("GET", "/")).status, 200u);
    }
    raw_client fourth(port);
    const auto got = fourth.receive();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->status, 503u);
    EXPECT_NE(got->body.find("too_many_connections"), std::string::npos);
    EXPECT_TRUE(fourth.closed());
    held.pop_back();
    EXPECT_TRUE(base::comes_true([&] { return server->connections() == 2; }));
    EXPECT_EQ(raw_client(port).ask(request_text("GET", "/")).status, 200u);
}

// Its connections are those of many clients, whose requests count for each of them.
TEST_F(http_server_test, a_trusted_proxy_is_bounded_in_total_only) {
    settings.connections_per_source_max = 2;
    settings.connections_max = 5;
    settings.trusted_proxies = {"127.0.0.1"};
    const auto port = start();
    std::vector<raw_client> held;
    for (int i = 0; i < 5; ++i) {
        held.emplace_back(port);
        EXPECT_EQ(held.back().ask(request_text("GET", "/")).status, 200u);
    }
    raw_client sixth(port);
    const auto got = sixth.receive();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->status, 503u);
    EXPECT_NE(got->body.find("server_full"), std::string::npos);
}

TEST_F(http_server_test, stop_lets_running_requests_finish_and_refuses_new_ones) {
    const auto port = start();
    raw_client idle(port);
    EXPECT_EQ(idle.ask(request_text("GET", "/")).status, 200u);
    raw_client busy(port);
    busy.send(request_text("GET", "/wait"));
    wait_until(waiting, 1);
    auto stopping = std::async(std::launch::async,
                               [&] { return engine.run(server->stop(milliseconds(30'000))); });
    EXPECT_TRUE(idle.closed());
    EXPECT_TRUE(base::comes_true([&] { return !raw_client(port).connected(); }));
    gate.notify_all();
    const auto got = busy.receive();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->body, "GET /wait ");
    EXPECT_EQ(got->headers.at("connection"), "close");
    EXPECT_TRUE(stopping.get());
    EXPECT_EQ(server->connections(), 0u);
}

// None of them has sent a whole request, so nothing of theirs is waited for.
TEST_F(http_server_test, stop_closes_idle_and_half_sent_connections_at_once) {
    settings.read_timeout = settings.idle_timeout = settings.write_timeout = milliseconds(600'000);
    const auto port = start();
    raw_client silent(port);
    raw_client used(port);
    EXPECT_EQ(used.ask(request_text("GET", "/")).status, 200u);
    raw_client in_header(port);
    in_header.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Le");
    raw_client in_body(port);
    in_body.send(post + "Content-Length: 10\r\n\r\nabc");
    raw_client in_chunk(port);
    in_chunk.send(post + "Transfer-Encoding: chunked\r\n\r\n5\r\nab");
    raw_client waits_to_go_on(port);
    waits_to_go_on.send(post + "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(waits_to_go_on.receive(false, true)->status, 100u);
    EXPECT_TRUE(base::comes_true([&] { return server->connections() == 6; }));
    EXPECT_TRUE(engine.run(server->stop(milliseconds(60'000))));
    for (raw_client* one : {&silent, &used, &in_header, &in_body, &in_chunk, &waits_to_go_on}) {
        EXPECT_TRUE(one->closed());
    }
    EXPECT_EQ(served, 1);
}

TEST_F(http_server_test, stop_does_not_wait_for_a_client_that_does_not_read) {
    settings.write_timeout = milliseconds(600'000);
    const auto port = start();
    raw_client stuck(port);
    stuck.send(request_text("GET", "/large"));
    wait_until(served, 1);
    raw_client later(port); // its answer begins during the stop
    later.send(request_text("GET", "/wait-large"));
    wait_until(waiting, 1);
    auto stopping = std::async(std::launch::async,
                               [&] { return engine.run(server->stop(milliseconds(60'000))); });
    EXPECT_TRUE(base::comes_true([&] { return !raw_client(port).connected(); }));
    gate.notify_all();
    EXPECT_TRUE(stopping.get());
}

TEST_F(http_server_test, stop_lets_a_client_that_reads_have_its_answer) {
    raw_client slow(start());
    slow.send(request_text("GET", "/wait-large"));
    wait_until(waiting, 1);
    auto stopping = std::async(std::launch::async,
                               [&] { return engine.run(server->stop(milliseconds(60'000))); });
    gate.notify_all();
    const auto got = slow.receive();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->body.size(), large_size);
    EXPECT_TRUE(stopping.get());
}

TEST_F(http_server_test, stop_drops_what_is_left_at_the_deadline) {
    raw_client busy(start());
    busy.send(request_text("GET", "/wait"));
    wait_until(waiting, 1);
    auto stopping =
        std::async(std::launch::async, [&] { return engine.run(server->stop(milliseconds(50))); });
    EXPECT_TRUE(busy.closed());
    gate.notify_all();
    EXPECT_FALSE(stopping.get());
}

TEST_F(http_server_test, a_taken_port_is_named) {
    const auto port = start();
    http_settings same = settings;
    same.port = port;
    http_server second(engine.executor(), same, nullptr, metrics);
    const base::status started = second.start();
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().message.find(std::to_string(port)), std::string::npos);
}

TEST_F(http_server_test, believes_only_a_named_proxy) {
    start();
    const std::string text = request_text("GET", "/", {}, "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\n");
    EXPECT_EQ(ask(text).headers["seen-source"], "127.0.0.1");
    settings.trusted_proxies = {"127.0.0.1"};
    engine.run(server->stop(milliseconds(1'000)));
    start();
    raw_client proxy(server->port());
    EXPECT_EQ(proxy.ask(text).headers["seen-source"], "8.8.8.8");
    EXPECT_EQ(proxy.ask(request_text("GET", "/")).headers["seen-source"], "127.0.0.1");
}

// None may reach a handler.
TEST_F(http_server_test, refuses_request_smuggling) {
    settings.read_timeout = milliseconds(500); // some shapes never end
    const auto port = start();
    const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    std::vector<std::string> shapes = contradicting_lengths();
    std::ranges::move(broken_syntax(), std::back_inserter(shapes));
    EXPECT_GT(shapes.size(), 60u);
    for (const std::string& shape : shapes) {
        raw_client client(port);
        const raw_answer got = client.ask(shape + smuggled);
        EXPECT_TRUE(got.status == 400 || got.status == 413 || got.status == 408)
            << got.status << " for " << shape;
        EXPECT_TRUE(client.closed()) << shape;
    }
    EXPECT_EQ(served, 0);
    const std::vector<std::string> sound = {
        post + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        post + "Content-Length: 0\r\n\r\n",
        post + "Content-Length: 004\r\n\r\nabcd",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    };
    for (const std::string& shape : sound) {
        raw_client client(port);
        EXPECT_EQ(client.ask(shape).status, 200u) << shape;
        EXPECT_EQ(client.ask(smuggled).body, "GET /smuggled ") << shape;
    }
}

} // namespace
} // namespace immortal::api
