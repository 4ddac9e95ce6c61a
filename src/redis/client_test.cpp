#include "redis/client.hpp"
#include "redis/scratch_server.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>

namespace immortal::redis {

using base::errc;

namespace {

std::string shared_server() {
    const char* uri = std::getenv("IMMORTAL_TEST_REDIS");
    return uri == nullptr ? "" : uri;
}

settings patient(std::string uri) {
    settings out;
    out.uri = std::move(uri);
    out.connect_timeout = milliseconds(20000); // a loaded machine is slow, not wrong
    out.command_timeout = milliseconds(20000);
    return out;
}

std::string free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return std::to_string(ntohs(address.sin_port));
}

class client_test : public testing::Test {
protected:
    client_test() { engine_.start(); }
    ~client_test() override {
        if (client_) {
            engine_.run(client_->stop());
        }
    }

    void open(settings options) { client_ = make_client(engine_.executor(), options, metrics_); }
    base::result<reply> run(command c) { return engine_.run(client_->run(std::move(c))); }
    std::string text(command c) {
        const auto got = run(std::move(c));
        return got ? got->text : "error: " + got.error().message;
    }
    auto spawn(command c) {
        return boost::asio::co_spawn(engine_.executor(), client_->run(std::move(c)),
                                     boost::asio::use_future);
    }
    // Repeats a PING until it is answered.
    void await_answer() {
        while (text({"PING"}) != "PONG") {
        }
    }

    runtime::engine engine_;
    base::metrics metrics_;
    std::unique_ptr<client> client_;
};

TEST_F(client_test, replies_of_every_kind) {
    open(patient(shared_server()));
    EXPECT_FALSE(client_->available());
    const std::string key("k\r\n\0x", 5);
    EXPECT_EQ(text({"SET", key, "v"}), "OK");
    EXPECT_TRUE(client_->available());
    EXPECT_EQ(text({"GET", key}), "v");
    EXPECT_TRUE(run({"GET", "absent"})->is_nil());
    EXPECT_EQ(run({"STRLEN", key})->integer, 1);
    EXPECT_TRUE(run({"LPUSH", key, "x"})->is_error());
    EXPECT_EQ(run({"MGET", key, "absent"})->items.size(), 2u);
    EXPECT_EQ(run({"DEL", key})->integer, 1);
}

TEST_F(client_test, ten_thousand_commands_in_one_pipeline) {
    open(patient(shared_server()));
    std::vector<command> list;
    for (int i = 0; i < 10'000; ++i) {
        list.push_back({"ECHO", std::to_string(i)});
    }
    const auto got = engine_.run(client_->run_all(std::move(list)));
    ASSERT_TRUE(got) << got.error().message;
    for (std::size_t i = 0; i < 10'000; ++i) {
        ASSERT_EQ((*got)[i].text, std::to_string(i));
    }
    EXPECT_TRUE(engine_.run(client_->run_all({}))->empty());
}

TEST_F(client_test, many_callers_share_a_pipeline) {
    open(patient(shared_server()));
    std::vector<std::future<base::result<reply>>> calls;
    for (int i = 0; i < 10'000; ++i) {
        calls.push_back(spawn({"ECHO", std::to_string(i)}));
    }
    for (std::size_t i = 0; i < calls.size(); ++i) {
        ASSERT_EQ(calls[i].get().value().text, std::to_string(i));
    }
}

TEST_F(client_test, big_values_pass) {
    open(patient(shared_server()));
    const std::string big(30u << 20, 'x');
    EXPECT_EQ(text({"SET", "big", big}), "OK");
    EXPECT_EQ(text({"GET", "big"}), big);
    EXPECT_EQ(run({"DEL", "big"})->integer, 1);
}

TEST_F(client_test, scripts_are_sent_when_the_server_does_not_know_them) {
    open(patient(shared_server()));
    const script s("return {KEYS[1], ARGV[1], redis.call('INCRBY', KEYS[1], ARGV[1])}");
    ASSERT_EQ(text({"SCRIPT", "FLUSH"}), "OK");
    for (int i = 1; i <= 3; ++i) {
        const auto got = engine_.run(client_->eval(s, {"counter"}, {"5"}));
        ASSERT_TRUE(got);
        ASSERT_EQ(got->items.size(), 3u) << got->text;
        EXPECT_EQ(got->items[2].integer, 5 * i);
    }
    EXPECT_EQ(run({"SCRIPT", "EXISTS", s.digest()})->items[0].integer, 1);
    EXPECT_TRUE(engine_.run(client_->eval(script("syntax error"), {}, {}))->is_error());
    (void)run({"DEL", "counter"});
}

TEST_F(client_test, too_many_unanswered_commands_are_refused) {
    auto options = patient(shared_server());
    options.in_flight_max = 10;
    open(options);
    const auto got = engine_.run(client_->run_all(std::vector<command>(11, {"PING"})));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errc::exhausted);
    EXPECT_TRUE(engine_.run(client_->run_all(std::vector<command>(10, {"PING"}))));
    EXPECT_TRUE(engine_.run(client_->run_all(std::vector<command>(10, {"PING"}))));
}

TEST_F(client_test, a_server_killed_and_restarted_is_found_again) {
    scratch_server server;
    open(patient(server.uri()));
    for (int i = 0; i < 3; ++i) {
        await_answer();
        auto waiting = spawn({"BLPOP", "nothing", "0"});
        server.kill();
        const auto got = waiting.get();
        ASSERT_FALSE(got);
        EXPECT_EQ(got.error().code, errc::unavailable);
        EXPECT_EQ(run({"PING"}).error().code, errc::unavailable); // at once
        EXPECT_FALSE(client_->available());
        server.start();
    }
    await_answer();
    EXPECT_TRUE(client_->available());
}

TEST_F(client_test, an_absent_server_fails_calls_at_once) {
    open(patient("unix:///nowhere/redis.sock"));
    EXPECT_EQ(run({"PING"}).error().code, errc::unavailable);
    EXPECT_EQ(run({"PING"}).error().code, errc::unavailable);
    EXPECT_FALSE(client_->available());
}

TEST_F(client_test, a_bad_uri_is_an_error_of_every_call) {
    open(patient("localhost"));
    EXPECT_EQ(run({"PING"}).error().code, errc::invalid_argument);
}

TEST_F(client_test, a_server_that_stands_still_costs_a_timeout_and_is_left) {
    scratch_server server;
    auto options = patient(server.uri());
    options.command_timeout = milliseconds(300);
    open(options);
    await_answer();
    server.pause();
    const auto got = run({"PING"});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errc::timeout);
    server.resume();
    await_answer();
}

TEST_F(client_test, a_server_that_stands_still_when_connected_to_is_told_as_such) {
    scratch_server server;
    server.pause();
    auto options = patient(server.uri());
    options.connect_timeout = milliseconds(300);
    testing::internal::CaptureStderr();
    open(options);
    EXPECT_EQ(run({"PING"}).error().code, errc::unavailable);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("does not answer in time"), std::string::npos) << said;
    EXPECT_NE(said.find("within_ms=300"), std::string::npos) << said;
    EXPECT_EQ(said.find("does not let us in"), std::string::npos) << said;
    server.resume();
    await_answer();
}

// A caller who has waited in vain gives the connection up before its own limit.
TEST_F(client_test, a_server_that_a_caller_gave_up_is_told_as_one_that_does_not_answer) {
    scratch_server server;
    server.pause();
    auto options = patient(server.uri());
    options.command_timeout = milliseconds(200);
    testing::internal::CaptureStderr();
    open(options);
    EXPECT_EQ(run({"PING"}).error().code, errc::timeout);
    engine_.run(client_->stop()); // the line is written by then
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("does not answer in time"), std::string::npos) << said;
    EXPECT_EQ(said.find("does not let us in"), std::string::npos) << said;
    server.resume();
}

TEST_F(client_test, a_server_that_refuses_says_so) {
    const std::string port = free_port();
    scratch_server server({"--port", port, "--bind", "127.0.0.1", "--requirepass", "s3cret"});
    testing::internal::CaptureStderr();
    open(patient("redis://:wrong@127.0.0.1:" + port));
    EXPECT_EQ(run({"PING"}).error().code, errc::unavailable);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("does not let us in"), std::string::npos) << said;
}

// Answers that come too late do not become the answers of other commands.
TEST_F(client_test, late_answers_find_nobody) {
    scratch_server server;
    auto options = patient(server.uri());
    options.command_timeout = milliseconds(200);
    open(options);
    await_answer();
    const auto slow = run({"BLPOP", "nothing", "0.5"});
    EXPECT_EQ(slow.error().code, errc::timeout);
    std::string got;
    do {
        got = text({"ECHO", "mine"});
        EXPECT_TRUE(got == "mine" || got.starts_with("error: ")) << got;
    } while (got != "mine");
}

TEST_F(client_test, logs_in_and_selects_over_tcp) {
    const std::string port = free_port();
    scratch_server server({"--port", port, "--bind", "127.0.0.1", "--requirepass", "s3cret@"});
    open(patient("redis://:s3cret%40@127.0.0.1:" + port + "/7"));
    EXPECT_EQ(text({"SET", "k", "v"}), "OK");
    EXPECT_NE(text({"CLIENT", "INFO"}).find(" db=7 "), std::string::npos);
    engine_.run(client_->stop());
    open(patient("redis://:wrong@127.0.0.1:" + port));
    EXPECT_EQ(run({"PING"}).error().code, errc::unavailable);
}

TEST_F(client_test, tls_needs_a_certificate_of_a_known_authority) {
    char name[] = "/tmp/imc.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    const std::string folder = name;
    const std::string make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                             "-nodes -days 2 -subj /CN=localhost -addext "
                             "subjectAltName=DNS:localhost -keyout " +
                             folder + "/key -out " + folder + "/cert 2>" + folder + "/log";
    ASSERT_EQ(std::system(make.c_str()), 0);
    const std::string port = free_port();
    {
        scratch_server server({"--port", "0", "--tls-port", port, "--bind", "127.0.0.1",
                               "--tls-cert-file", folder + "/cert", "--tls-key-file",
                               folder + "/key", "--tls-auth-clients", "no"});
        open(patient("rediss://localhost:" + port));
        EXPECT_EQ(run({"PING"}).error().code, errc::unavailable);
        engine_.run(client_->stop());
        ::setenv("SSL_CERT_FILE", (folder + "/cert").c_str(), 1);
        open(patient("rediss://localhost:" + port));
        EXPECT_EQ(text({"PING"}), "PONG");
        const std::string big(5u << 20, 't');
        EXPECT_EQ(text({"ECHO", big}), big);
        engine_.run(client_->stop());
        open(patient("rediss://127.0.0.1:" + port)); // another name than the certificate's
        EXPECT_EQ(run({"PING"}).error().code, errc::unavailable);
        ::unsetenv("SSL_CERT_FILE");
    }
    std::filesystem::remove_all(folder);
}

TEST_F(client_test, stop_ends_what_is_under_way) {
    open(patient(shared_server()));
    ASSERT_EQ(text({"PING"}), "PONG");
    auto waiting = spawn({"BLPOP", "nothing", "0"});
    engine_.run(client_->stop());
    EXPECT_EQ(waiting.get().error().code, errc::cancelled);
    EXPECT_EQ(run({"PING"}).error().code, errc::cancelled);
}

TEST_F(client_test, subscribers_get_messages_and_hear_of_gaps) {
    scratch_server server;
    open(patient(server.uri()));
    auto subscriber = make_subscriber(engine_.executor(), patient(server.uri()), {"a", "b"});
    const auto next = [&] { return engine_.run(subscriber->next()); };
    EXPECT_FALSE(next().value()); // from now on
    EXPECT_EQ(run({"PUBLISH", "a", "1"})->integer, 1);
    EXPECT_EQ(run({"PUBLISH", "b", std::string("\0\r\n", 3)})->integer, 1);
    EXPECT_EQ(next().value()->payload, "1");
    const auto second = next().value();
    EXPECT_EQ(second->channel, "b");
    EXPECT_EQ(second->payload, std::string("\0\r\n", 3));

    server.kill();
    server.start();
    EXPECT_FALSE(next().value());
    await_answer();
    EXPECT_EQ(run({"PUBLISH", "a", "2"})->integer, 1);
    EXPECT_EQ(next().value()->payload, "2");

    auto waiting =
        boost::asio::co_spawn(engine_.executor(), subscriber->next(), boost::asio::use_future);
    subscriber->cancel();
    EXPECT_EQ(waiting.get().error().code, errc::cancelled);
}

} // namespace
} // namespace immortal::redis
