// What readers that take nothing can make the server hold.
#include "esdb/intake_fixture.hpp"
#include "esproto/wire/persistent_subscriptions.grpc.pb.h"

namespace immortal::esdb {
namespace {

class untaken_answers : public intake_test {
protected:
    static client::streams::ReadReq request_of(const std::string& stream) {
        client::streams::ReadReq request;
        auto& options = *request.mutable_options();
        options.mutable_stream()->mutable_stream_identifier()->set_stream_name(stream);
        options.mutable_stream()->mutable_start();
        options.mutable_no_filter();
        return request;
    }
    // One that takes nothing afterwards.
    void begin_idle(const client::streams::ReadReq& request) {
        idle_.emplace_back(make_context(), nullptr);
        idle_.back().second = streams_->Read(idle_.back().first.get(), request);
    }
    void subscribe_idle(const client::streams::ReadReq& request, int count) {
        client::streams::ReadResp answer;
        for (int i = 0; i < count; ++i) {
            begin_idle(request);
            ASSERT_TRUE(idle_.back().second->Read(&answer)) << "it is confirmed";
        }
    }
    // How the first one ended, after what had come before.
    grpc::Status end_of_first() {
        client::streams::ReadResp answer;
        while (idle_.front().second->Read(&answer)) {
        }
        const auto ended = idle_.front().second->Finish();
        idle_.erase(idle_.begin());
        return ended;
    }
    void end_idle() {
        for (const auto& [context, reader] : idle_) {
            context->TryCancel();
            (void)reader->Finish();
        }
        idle_.clear();
    }

private:
    std::vector<std::pair<std::unique_ptr<grpc::ClientContext>,
                          std::unique_ptr<grpc::ClientReader<client::streams::ReadResp>>>>
        idle_;
};

// Reads whose clients take nothing hold no more than the accounts allow, and nothing afterwards.
TEST_F(untaken_answers, answers_that_nobody_takes_are_bounded_in_bytes) {
    protocol_settings settings;
    settings.unfinished_bytes_max = 80 * mebibyte;
    settings.write_limit = milliseconds(500);
    serve(settings);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(send_records(2 * mebibyte, 8).ok());
    }
    auto request = request_of("s");
    request.mutable_options()->set_count(100);
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
    for (int i = 0; i < 50; ++i) {
        begin_idle(request);
    }
    const auto until = std::chrono::steady_clock::now() + patience / 4;
    while (read() != StatusCode::UNAVAILABLE && std::chrono::steady_clock::now() < until) {
    }
    EXPECT_EQ(read(), StatusCode::UNAVAILABLE);
    const std::size_t after = resident_bytes();
    expect_growth_below(after > before ? after - before : 0, 600 * mebibyte);
    EXPECT_TRUE(append("other").ok()) << "appends have accounts of their own";
    end_idle();
    while (read() != StatusCode::OK && std::chrono::steady_clock::now() < until) {
    }
    EXPECT_EQ(read(), StatusCode::OK);
}

// Subscriptions whose clients take nothing hold no more than the accounts allow, may stand still,
// and are ended when others wait for what they hold.
TEST_F(untaken_answers, subscriptions_that_nobody_reads_are_bounded_in_bytes) {
    protocol_settings settings;
    settings.unfinished_bytes_max = 80 * mebibyte;
    settings.server.answer_limit = milliseconds(500);
    serve(settings);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(send_records(2 * mebibyte, 8).ok());
    }
    auto request = request_of("s");
    request.mutable_options()->mutable_subscription();
    const std::size_t before = resident_bytes();
    subscribe_idle(request, 60);
    client::streams::ReadResp answer;
    const auto context = make_context();
    const auto reader = streams_->Read(context.get(), request);
    for (int events = 0; events < 32 && reader->Read(&answer);) {
        events += answer.has_event() ? 1 : 0;
        EXPECT_TRUE(events < 32 || answer.event().event().stream_revision() == 31);
    }
    EXPECT_TRUE(answer.has_event() && answer.event().event().stream_revision() == 31);
    const std::size_t after = resident_bytes();
    expect_growth_below(after > before ? after - before : 0, 2'000 * mebibyte);
    context->TryCancel();
    (void)reader->Finish();
    const auto ended = end_of_first();
    EXPECT_EQ(ended.error_code(), StatusCode::DEADLINE_EXCEEDED) << "it held what others wanted";
    EXPECT_NE(ended.error_message().find("esdb.answer_timeout_ms"), std::string::npos)
        << ended.error_message();
    end_idle();
}

// What a link leads to counts, though the page of links is small.
TEST_F(untaken_answers, links_that_nobody_follows_are_charged_by_what_they_lead_to) {
    protocol_settings settings;
    settings.unfinished_bytes_max = 80 * mebibyte;
    settings.server.answer_limit = milliseconds(500);
    serve(settings);
    constexpr std::uint64_t links = 16;
    std::vector<eventstore::stream_write> writes(2);
    writes[0].stream = "large";
    writes[0].events.push_back(
        {base::uuid::make_random(random_), "Happened", std::string(3 * mebibyte, 'x'), {}});
    writes[1].stream = "links";
    for (std::uint64_t i = 0; i < links; ++i) {
        writes[1].events.push_back({base::uuid::make_random(random_), "$>", "0@large", {}});
    }
    ASSERT_TRUE(engine_.run(store_->append(std::move(writes))));
    auto request = request_of("links");
    request.mutable_options()->set_resolve_links(true);
    request.mutable_options()->mutable_subscription();
    subscribe_idle(request, 40);
    client::streams::ReadResp answer;
    const auto context = make_context();
    const auto reader = streams_->Read(context.get(), request);
    std::uint64_t followed = 0;
    while (followed < links && reader->Read(&answer)) {
        followed += answer.has_event() ? 1 : 0;
        EXPECT_TRUE(!answer.has_event() || answer.event().event().data().size() == 3 * mebibyte);
    }
    EXPECT_EQ(followed, links) << "who takes what comes goes on";
    const auto ended = end_of_first();
    EXPECT_NE(ended.error_message().find("esdb.answer_timeout_ms"), std::string::npos)
        << ended.error_message() << ": it held what others wanted";
    end_idle();
    context->TryCancel();
    (void)reader->Finish();
}

// The same for consumers: each is sent an event, and takes nothing of it.
TEST_F(intake_test, consumers_that_take_nothing_end_when_others_wait) {
    namespace groups = client::persistent_subscriptions;
    protocol_settings settings;
    settings.unfinished_bytes_max = 64 * mebibyte;
    settings.server.answer_limit = milliseconds(500);
    serve(settings);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(send_records(12 * mebibyte, 1).ok());
    }
    grpc::ChannelArguments unlimited;
    unlimited.SetMaxReceiveMessageSize(-1);
    const auto stub = groups::PersistentSubscriptions::NewStub(
        grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(node_->port()),
                                  grpc::InsecureChannelCredentials(), unlimited));
    groups::CreateReq creation;
    auto& options = *creation.mutable_options();
    options.set_group_name("g");
    options.mutable_stream()->mutable_stream_identifier()->set_stream_name("s");
    options.mutable_stream()->mutable_start();
    auto& group = *options.mutable_settings();
    group.set_message_timeout_ms(30'000);
    group.set_checkpoint_after_ms(2'000);
    group.set_max_retry_count(10);
    group.set_min_checkpoint_count(10);
    group.set_max_checkpoint_count(1'000);
    group.set_live_buffer_size(500);
    group.set_read_batch_size(20);
    group.set_history_buffer_size(500);
    group.set_consumer_strategy("RoundRobin");
    groups::CreateResp created;
    grpc::Status status;
    do { // groups are loaded after the start
        const auto context = make_context();
        status = stub->Create(context.get(), creation, &created);
    } while (status.error_code() == StatusCode::UNAVAILABLE);
    ASSERT_TRUE(status.ok()) << status.error_message();
    groups::ReadReq request;
    request.mutable_options()->set_group_name("g");
    request.mutable_options()->mutable_stream_identifier()->set_stream_name("s");
    request.mutable_options()->set_buffer_size(1);
    request.mutable_options()->mutable_uuid_option()->mutable_string();
    std::vector<
        std::pair<std::unique_ptr<grpc::ClientContext>,
                  std::unique_ptr<grpc::ClientReaderWriter<groups::ReadReq, groups::ReadResp>>>>
        idle;
    groups::ReadResp answer;
    for (int i = 0; i < 4; ++i) {
        idle.emplace_back(make_context(), nullptr);
        idle.back().second = stub->Read(idle.back().first.get());
        ASSERT_TRUE(idle.back().second->Write(request));
        ASSERT_TRUE(idle.back().second->Read(&answer)) << "it is confirmed";
    }
    // There is room for two: the last one is given its event when others were ended.
    EXPECT_TRUE(idle.back().second->Read(&answer) && answer.has_event());
    while (idle.front().second->Read(&answer)) {
    }
    const auto ended = idle.front().second->Finish();
    EXPECT_NE(ended.error_message().find("esdb.answer_timeout_ms"), std::string::npos)
        << ended.error_message();
    idle.erase(idle.begin());
    for (const auto& [its, consumer] : idle) {
        its->TryCancel();
        (void)consumer->Finish();
    }
}

} // namespace
} // namespace immortal::esdb
