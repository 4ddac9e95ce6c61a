// How the calls of consumers end: when they leave, and when the server stops.
#include "esdb/persistent_fixture.hpp"

namespace immortal::esdb {
namespace {

TEST_F(persistent_service_test, an_ordinary_unsubscribe_logs_nothing) {
    serve();
    ASSERT_TRUE(create(create_request("s-1")).ok());
    testing::internal::CaptureStderr();
    auto one = confirmed("s-1");
    one.context->TryCancel();
    EXPECT_EQ(end(one).error_code(), StatusCode::CANCELLED);
    const auto until = std::chrono::steady_clock::now() + patience;
    while (server_->calls() > 0) {
        ASSERT_LT(std::chrono::steady_clock::now(), until);
        std::this_thread::yield();
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(persistent_service_test, a_stop_tells_consumers_to_come_back) {
    serve();
    ASSERT_TRUE(create(create_request("s-1")).ok());
    auto one = confirmed("s-1");
    testing::internal::CaptureStderr();
    server_->stop(std::chrono::seconds(30));
    EXPECT_EQ(end(one).error_code(), StatusCode::UNAVAILABLE);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

} // namespace
} // namespace immortal::esdb
