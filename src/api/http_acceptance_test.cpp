// Connections wait while the process has no descriptor to spare.
#include "api/http_server.hpp"
#include "api/raw_client.hpp"
#include "base/patience_testing.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace immortal::api {
namespace {

using testing::raw_client;
using testing::request_text;

awaitable<response> answer(const request& /*asked*/) {
    co_return response{};
}

TEST(http_acceptance, nothing_is_accepted_while_it_may_not) {
    std::atomic<bool> may{false};
    std::atomic<int> questions{0};
    http_settings settings;
    settings.port = 0;
    settings.may_accept = [&] {
        ++questions;
        return may.load();
    };
    base::metrics metrics;
    runtime::engine engine{{.threads = 2}};
    http_server server(engine.executor(), settings, &answer, metrics);
    engine.start();
    ASSERT_TRUE(server.start());
    raw_client client(server.port());
    client.send(request_text("GET", "/"));
    EXPECT_TRUE(base::comes_true([&] { return questions >= 2; }));
    EXPECT_EQ(server.connections(), 0u);
    may = true;
    const auto got = client.receive();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->status, 200u);
    engine.run(server.stop(milliseconds(100)));
    engine.stop();
}

} // namespace
} // namespace immortal::api
