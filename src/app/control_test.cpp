#include "app/control.hpp"
#include "runtime/deadline.hpp"
#include "runtime/engine.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

namespace immortal::app {
namespace {

namespace fs = std::filesystem;
namespace json = base::json;

awaitable<base::result<json::object>> count_up(json::object request, item_sink sink) {
    if (!request.contains("to")) {
        co_return base::fail(base::errc::invalid_argument, "\"to\" is missing.");
    }
    const std::int64_t to = request.at("to").as_int64();
    for (std::int64_t i = 0; i < to; ++i) {
        if (!co_await sink({{"number", i}, {"filling", std::string(1000, 'x')}})) {
            co_return base::fail(base::errc::cancelled, "Nobody listens.");
        }
    }
    co_return json::object{{"count", to}};
}

class control : public testing::Test {
protected:
    control() {
        std::string pattern = "/tmp/imt.XXXXXX";
        folder_ = mkdtemp(pattern.data());
        engine_.start();
        server_.emplace(engine_.executor(), folder_ / "control.sock", count_up);
        EXPECT_TRUE(server_->start().has_value());
    }
    ~control() override {
        engine_.run(server_->stop());
        server_.reset();
        fs::remove_all(folder_);
    }
    base::result<json::object> ask(const json::object& request) {
        return ask_control(folder_ / "control.sock", request,
                           [this](const json::object& item) { items_.push_back(item); });
    }

    fs::path folder_;
    runtime::engine engine_;
    std::optional<control_server> server_;
    std::vector<json::object> items_;
};

TEST_F(control, gives_items_in_order_and_the_end) {
    const auto end = ask({{"to", 500}}); // more than a socket's buffer
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->at("count").as_int64(), 500);
    ASSERT_EQ(items_.size(), 500u);
    EXPECT_EQ(items_.back().at("number").as_int64(), 499);
}

TEST_F(control, gives_the_servers_refusal) {
    EXPECT_EQ(ask({{"from", 1}}).error().message, "\"to\" is missing.");
}

TEST_F(control, answers_several_at_once) {
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 20; ++i) { // more than it works on at a time
        threads.emplace_back([&] {
            good += ask_control(folder_ / "control.sock", {{"to", 50}}, [](const json::object&) {})
                            .has_value()
                        ? 1
                        : 0;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(good, 20);
}

TEST_F(control, nobody_there_is_said) {
    EXPECT_EQ(ask_control(folder_ / "none.sock", {}, [](const json::object&) {}).error().code,
              base::errc::unavailable);
}

TEST_F(control, a_server_that_is_silent_is_said_to_be_so) {
    boost::asio::io_context context; // nobody runs it: connections come in, and no answer
    boost::asio::local::stream_protocol::acceptor silent(
        context, boost::asio::local::stream_protocol::endpoint((folder_ / "silent").string()));
    const auto refused = ask_control(
        folder_ / "silent", {{"to", 1}}, [](const json::object&) {},
        std::chrono::milliseconds(100));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::errc::timeout);
    EXPECT_NE(refused.error().message.find("does not answer"), std::string::npos);
}

awaitable<base::result<json::object>> work_long(json::object, item_sink) {
    (void)co_await runtime::wait_for(std::chrono::milliseconds(2'500));
    co_return json::object{{"count", 0}};
}

TEST_F(control, a_server_that_works_long_says_so_meanwhile) {
    control_server slow(engine_.executor(), folder_ / "slow.sock", work_long);
    ASSERT_TRUE(slow.start().has_value());
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 9; ++i) { // one waits for the others
        threads.emplace_back([&] {
            good += ask_control(
                        folder_ / "slow.sock", {{"to", 1}}, [](const json::object&) {},
                        std::chrono::milliseconds(2'000))
                            .has_value()
                        ? 1
                        : 0;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(good, 9);
    engine_.run(slow.stop());
}

TEST_F(control, takes_the_place_of_a_leftover_socket) {
    engine_.run(server_->stop());
    server_.emplace(engine_.executor(), folder_ / "control.sock", count_up);
    {
        std::FILE* leftover = std::fopen((folder_ / "control.sock").c_str(), "w");
        std::fclose(leftover);
    }
    ASSERT_TRUE(server_->start().has_value());
    EXPECT_TRUE(ask({{"to", 1}}).has_value());
}

} // namespace
} // namespace immortal::app
