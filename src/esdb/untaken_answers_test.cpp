// What readers that take nothing can make the server hold.
#include "esdb/intake_fixture.hpp"

namespace immortal::esdb {
namespace {

// Reads whose clients take nothing hold no more than the accounts allow, and nothing afterwards.
TEST_F(intake_test, answers_that_nobody_takes_are_bounded_in_bytes) {
    protocol_settings settings;
    settings.unfinished_bytes_max = 80 * mebibyte;
    settings.write_limit = milliseconds(500);
    serve(settings);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(send_records(2 * mebibyte, 8).ok());
    }
    client::streams::ReadReq request;
    auto& options = *request.mutable_options();
    options.mutable_stream()->mutable_stream_identifier()->set_stream_name("s");
    options.mutable_stream()->mutable_start();
    options.mutable_no_filter();
    options.set_count(100);
    const auto read = [&] {
        const auto context = make_context();
        const auto reader = streams_->Read(context.get(), request);
        client::streams::ReadResp answer;
        while (reader->Read(&answer)) {
        }
        return reader->Finish().error_code();
    };
    ASSERT_EQ(read(), StatusCode::OK);
    const std::size_t before = resident_bytes();
    std::vector<std::pair<std::unique_ptr<grpc::ClientContext>,
                          std::unique_ptr<grpc::ClientReader<client::streams::ReadResp>>>>
        idle;
    for (int i = 0; i < 50; ++i) {
        idle.emplace_back(make_context(), nullptr);
        idle.back().second = streams_->Read(idle.back().first.get(), request);
    }
    const auto until = std::chrono::steady_clock::now() + patience / 4;
    while (read() != StatusCode::UNAVAILABLE && std::chrono::steady_clock::now() < until) {
    }
    EXPECT_EQ(read(), StatusCode::UNAVAILABLE);
    const std::size_t after = resident_bytes();
    expect_growth_below(after > before ? after - before : 0, 600 * mebibyte);
    EXPECT_TRUE(append("other").ok()) << "appends have accounts of their own";
    for (const auto& [context, reader] : idle) {
        context->TryCancel();
        (void)reader->Finish();
    }
    while (read() != StatusCode::OK && std::chrono::steady_clock::now() < until) {
    }
    EXPECT_EQ(read(), StatusCode::OK);
}

// Subscriptions whose clients take nothing hold no more than the accounts allow, may stand still,
// and are ended when others wait for what they hold.
TEST_F(intake_test, subscriptions_that_nobody_reads_are_bounded_in_bytes) {
    protocol_settings settings;
    settings.unfinished_bytes_max = 80 * mebibyte;
    settings.server.answer_limit = milliseconds(500);
    serve(settings);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(send_records(2 * mebibyte, 8).ok());
    }
    client::streams::ReadReq request;
    auto& options = *request.mutable_options();
    options.mutable_stream()->mutable_stream_identifier()->set_stream_name("s");
    options.mutable_stream()->mutable_start();
    options.mutable_no_filter();
    options.mutable_subscription();
    const std::size_t before = resident_bytes();
    std::vector<std::pair<std::unique_ptr<grpc::ClientContext>,
                          std::unique_ptr<grpc::ClientReader<client::streams::ReadResp>>>>
        idle;
    client::streams::ReadResp answer;
    for (int i = 0; i < 60; ++i) {
        idle.emplace_back(make_context(), nullptr);
        idle.back().second = streams_->Read(idle.back().first.get(), request);
        ASSERT_TRUE(idle.back().second->Read(&answer)) << "it is confirmed";
    }
    const auto context = make_context();
    const auto reader = streams_->Read(context.get(), request);
    for (int events = 0; events < 32 && reader->Read(&answer);) {
        events += answer.has_event() ? 1 : 0;
        EXPECT_TRUE(events < 32 || answer.event().event().stream_revision() == 31);
    }
    EXPECT_TRUE(answer.has_event() && answer.event().event().stream_revision() == 31);
    const std::size_t after = resident_bytes();
    expect_growth_below(after > before ? after - before : 0, 900 * mebibyte);
    context->TryCancel();
    (void)reader->Finish();
    while (idle.front().second->Read(&answer)) { // what had come before
    }
    EXPECT_EQ(idle.front().second->Finish().error_code(), StatusCode::DEADLINE_EXCEEDED)
        << "it held what others waited for";
    idle.erase(idle.begin());
    for (const auto& [its, subscription] : idle) {
        its->TryCancel();
        (void)subscription->Finish();
    }
}

} // namespace
} // namespace immortal::esdb
