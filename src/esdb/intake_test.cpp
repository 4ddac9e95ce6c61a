// What callers can make the server hold before their requests are complete.
#include "esdb/intake_fixture.hpp"
#include "esproto/wire/monitoring.grpc.pb.h"

#include <future>

namespace immortal::esdb {
namespace {

// What has come of messages that stall is charged, and they have a deadline.
class stalled_messages : public intake_test {
protected:
    void serve_strictly() {
        protocol_settings settings;
        settings.server.receiving_max = 2;
        settings.server.receive_bytes_max = 8192 * mebibyte;
        settings.server.message_limit = milliseconds(1'500);
        settings.unfinished_bytes_max = 100 * mebibyte;
        serve(settings);
    }
    static constexpr int calls = 30;
    static constexpr std::size_t bound = 700 * mebibyte; // all of them: 1,920
};

TEST_F(stalled_messages, of_requests_hold_little) {
    serve_strictly();
    expect_growth_below(growth_of_stalled(records_method, calls), bound);
    EXPECT_TRUE(append("s").ok()) << "the others are served again";
}

// Its first message carries events already.
TEST_F(stalled_messages, of_sessions_hold_little) {
    serve_strictly();
    expect_growth_below(growth_of_stalled(session_method, calls), bound);
    EXPECT_TRUE(append("s").ok()) << "the others are served again";
}

TEST_F(stalled_messages, of_appends_hold_little) {
    serve_strictly();
    client::streams::AppendReq options;
    options.mutable_options()->mutable_stream_identifier()->set_stream_name("s");
    options.mutable_options()->mutable_any();
    expect_growth_below(growth_of_stalled(append_method, calls, options.SerializeAsString()),
                        bound);
    EXPECT_TRUE(append("s").ok()) << "the others are served again";
}

// Of appends there may be as many as there may be calls.
TEST_F(intake_test, many_appends_that_pause_hold_up_no_other) {
    protocol_settings settings;
    settings.server.message_limit = std::chrono::hours(1);
    serve(settings);
    std::vector<std::unique_ptr<paused_append>> paused;
    for (int i = 0; i < 300; ++i) {
        paused.push_back(pause_append());
    }
    const auto other = append("s");
    EXPECT_TRUE(other.ok()) << other.error_message();
    for (const auto& one : paused) {
        one->context->TryCancel();
        (void)one->writer->Finish();
    }
}

// A place is held for a moment, and addresses take turns.
TEST_F(intake_test, large_requests_that_send_nothing_hold_up_no_other) {
    protocol_settings settings;
    settings.server.receiving_max = 2;
    settings.server.message_limit = settings.server.keepalive_time = std::chrono::hours(1);
    serve(settings);
    raw_client raw(node_->port(), 65'535, "127.0.0.2");
    for (int i = 0; i < 40; ++i) {
        raw.begin(records_method, 0);
        raw.begin(session_method, 0);
    }
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(raw.turn());
    }
    for (int i = 0; i < 3; ++i) {
        const auto records = send_records(10, 1);
        EXPECT_TRUE(records.ok()) << records.error_message();
    }
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(raw.turn());
    }
    EXPECT_EQ(raw.open_calls(), 80u) << "they go on, without a place";
}

TEST_F(intake_test, appends_that_pause_and_silent_calls_hold_up_nobody) {
    protocol_settings settings;
    settings.server.receiving_max = 2;
    settings.server.first_message_limit = milliseconds(2'000);
    serve(settings);
    std::vector<std::unique_ptr<paused_append>> paused;
    for (int i = 0; i < 4; ++i) {
        paused.push_back(pause_append());
    }
    raw_client raw(node_->port());
    for (int i = 0; i < 8; ++i) {
        raw.begin("/event_store.client.streams.Streams/Read", 1'000);
        raw.begin(append_method, 0);
    }
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(raw.turn());
    }
    client::streams::ReadReq request;
    auto& options = *request.mutable_options();
    options.mutable_stream()->mutable_stream_identifier()->set_stream_name("s");
    options.mutable_stream()->mutable_start();
    options.mutable_no_filter();
    options.set_count(1);
    const auto context = make_context();
    const auto reader = streams_->Read(context.get(), request);
    client::streams::ReadResp answer;
    while (reader->Read(&answer)) {
    }
    const auto read = reader->Finish();
    EXPECT_TRUE(read.ok()) << read.error_message();
    const auto records = send_records(10, 1);
    EXPECT_TRUE(records.ok()) << records.error_message();
    for (const auto& one : paused) {
        one->context->TryCancel();
        (void)one->writer->Finish();
    }
}

// Waiting in line is not the client's fault: it is told that the server is busy.
TEST_F(intake_test, who_finds_no_place_in_time_is_told_that_the_server_is_busy) {
    protocol_settings settings;
    settings.server.receiving_max = 1;
    settings.server.message_limit = milliseconds(600);
    serve(settings);
    std::vector<std::future<grpc::Status>> calls;
    for (int i = 0; i < 8; ++i) {
        calls.push_back(std::async(std::launch::async, [this] { return silent(records_method); }));
    }
    std::map<StatusCode, int> answers;
    for (auto& one : calls) {
        ++answers[one.get().error_code()];
    }
    EXPECT_GE(answers[StatusCode::UNAVAILABLE], 1);
    EXPECT_GE(answers[StatusCode::DEADLINE_EXCEEDED], 1) << "of those who had a place";
    EXPECT_TRUE(append("s").ok());
}

// Batch streams may be silent for as long as they like, so they are not counted at the gate.
TEST_F(intake_test, what_comes_in_is_bounded_as_a_whole) {
    protocol_settings settings;
    settings.server.receive_bytes_max = 128 * mebibyte;
    settings.server.first_message_limit = milliseconds(1'500);
    serve(settings);
    expect_growth_below(growth_of_stalled(batch_method, 30), 400 * mebibyte);
    EXPECT_TRUE(append("s").ok()) << "the others are served again";
}

// The second message of batch streams, each on a connection of its own, but for the last byte.
class stalled_batches : public intake_test {
protected:
    void begin(int count) {
        for (int i = 0; i < count; ++i) {
            raw_.push_back(std::make_unique<raw_client>(node_->port()));
            raw_.back()->begin(batch_method, 64 * mebibyte, {}, "");
        }
    }
    // How many of the streams are left, when no more than `enough` are or time is over.
    std::size_t turn_until(std::size_t enough) {
        const auto until = std::chrono::steady_clock::now() + patience;
        std::size_t open = raw_.size();
        while (open > enough && std::chrono::steady_clock::now() < until) {
            open = turn();
        }
        return open;
    }
    std::size_t turn() {
        std::size_t open = 0;
        for (const auto& one : raw_) {
            open += one->open_calls() > 0 && one->turn() ? 1 : 0;
        }
        return open;
    }
    // Of all callers together.
    std::size_t unfinished_bytes_left() {
        const auto context = make_context();
        const auto reader = client::monitoring::Monitoring::NewStub(channel_)->Stats(
            context.get(), client::monitoring::StatsReq());
        client::monitoring::StatsResp figures;
        EXPECT_TRUE(reader->Read(&figures));
        context->TryCancel();
        (void)reader->Finish();
        return std::stoull(figures.stats().at("es-unfinished-bytes-left"));
    }
    // The stream still takes an append, and ends well.
    template <typename Batches>
    void expect_answer(Batches& batches) {
        client::streams::BatchAppendReq batch;
        esproto::write_uuid(base::uuid::make_random(random_), esproto::uuid_form::string,
                            *batch.mutable_correlation_id());
        batch.mutable_options()->mutable_stream_identifier()->set_stream_name("b");
        batch.mutable_options()->mutable_any();
        batch.set_is_final(true);
        client::streams::BatchAppendResp answer;
        ASSERT_TRUE(batches.Write(batch));
        ASSERT_TRUE(batches.Read(&answer));
        EXPECT_TRUE(answer.has_success());
        (void)batches.WritesDone();
        EXPECT_TRUE(batches.Finish().ok());
    }
    std::vector<std::unique_ptr<raw_client>> raw_;
};

TEST_F(stalled_batches, a_message_that_has_begun_has_a_deadline) {
    protocol_settings settings;
    settings.server.message_limit = milliseconds(1'000);
    serve(settings);
    begin(2);
    EXPECT_EQ(turn_until(0), 0u);
}

TEST_F(stalled_batches, what_has_come_of_a_message_is_charged) {
    protocol_settings settings;
    settings.server.message_limit = std::chrono::hours(1);
    settings.server.receive_bytes_max = 8192 * mebibyte;
    settings.unfinished_bytes_max = 150 * mebibyte;
    serve(settings);
    begin(2); // there is room for two, and they have it before the others come
    const auto until = std::chrono::steady_clock::now() + patience;
    while (unfinished_bytes_left() > 30 * mebibyte && std::chrono::steady_clock::now() < until) {
        ASSERT_EQ(turn(), 2u);
    }
    begin(4);
    EXPECT_EQ(turn_until(2), 2u);
    EXPECT_TRUE(append("s").ok());
}

TEST_F(stalled_batches, a_stream_that_is_idle_goes_on_whatever_else_its_connection_carries) {
    protocol_settings settings;
    settings.server.message_limit = milliseconds(1'000);
    serve(settings);
    const auto context = make_context();
    const auto batches = streams_->BatchAppend(context.get());
    ASSERT_TRUE(batches->Write(client::streams::BatchAppendReq()));
    const auto until = std::chrono::steady_clock::now() + milliseconds(2'500);
    while (std::chrono::steady_clock::now() < until) {
        ASSERT_TRUE(send_records(mebibyte, 3).ok());
        ASSERT_TRUE(append("s").ok());
        (void)send_bytes("/event_store.client.streams.Streams/Read", std::string(mebibyte, 'x'));
        (void)send_bytes("/nobody/Knows", std::string(mebibyte / 4, 'x'));
        auto paused = pause_append();
        paused->context->TryCancel();
        (void)paused->writer->Finish();
    }
    expect_answer(*batches);
}

TEST_F(stalled_batches, large_headers_on_the_connection_of_an_idle_stream_are_no_message) {
    protocol_settings settings;
    settings.server.message_limit = milliseconds(500);
    serve(settings);
    const auto context = make_context();
    const auto batches = streams_->BatchAppend(context.get());
    ASSERT_TRUE(batches->Write(client::streams::BatchAppendReq()));
    ASSERT_TRUE(append("s").ok());
    client::streams::ReadReq request;
    auto& options = *request.mutable_options();
    options.mutable_stream()->mutable_stream_identifier()->set_stream_name("s");
    options.mutable_stream()->mutable_start();
    options.set_count(1);
    options.mutable_no_filter();
    options.mutable_uuid_option()->mutable_string();
    for (int i = 0; i < 400; ++i) { // 2 MiB of them
        const auto other = make_context();
        other->AddMetadata("baggage", std::string(5'000, static_cast<char>('a' + i % 26)));
        const auto reader = streams_->Read(other.get(), request);
        client::streams::ReadResp answer;
        while (reader->Read(&answer)) {
        }
        ASSERT_TRUE(reader->Finish().ok());
    }
    for (int i = 0; i < 3; ++i) { // longer than a message may take
        begin(1);
        EXPECT_EQ(turn_until(0), 0u);
        raw_.clear();
    }
    expect_answer(*batches);
}

TEST_F(intake_test, a_silent_call_is_ended) {
    protocol_settings settings;
    settings.server.first_message_limit = milliseconds(200);
    settings.server.message_limit = milliseconds(200);
    serve(settings);
    for (const char* method :
         {append_method, records_method, batch_method, "/event_store.client.streams.Streams/Read",
          "/kurrentdb.protocol.v2.streams.StreamsService/AppendSession"}) {
        const auto status = silent(method);
        EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED) << method;
        EXPECT_NE(status.error_message().find("first message"), std::string::npos) << method;
    }
}

TEST_F(intake_test, an_append_that_stops_half_way_is_ended) {
    protocol_settings settings;
    settings.server.message_limit = milliseconds(200);
    serve(settings);
    const auto context = make_context();
    client::streams::AppendResp response;
    const auto writer = streams_->Append(context.get(), &response);
    client::streams::AppendReq message;
    message.mutable_options()->mutable_stream_identifier()->set_stream_name("s");
    message.mutable_options()->mutable_any();
    ASSERT_TRUE(writer->Write(message));
    const auto status = writer->Finish();
    EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED) << status.error_message();
}

TEST_F(intake_test, a_request_is_not_larger_than_its_method_takes) {
    serve({});
    EXPECT_EQ(
        send_bytes("/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read",
                   std::string(2 * mebibyte, 'x'))
            .error_code(),
        StatusCode::RESOURCE_EXHAUSTED);
    client::streams::ReadReq request;
    request.mutable_options()->mutable_stream()->mutable_stream_identifier()->set_stream_name(
        std::string(2 * mebibyte, 'x'));
    const auto context = make_context();
    EXPECT_EQ(streams_->Read(context.get(), request)->Finish().error_code(),
              StatusCode::RESOURCE_EXHAUSTED);
}

// Eight million records of no byte each: as objects they would occupy a gigabyte.
TEST_F(intake_test, a_message_of_many_empty_parts_is_refused_before_it_is_parsed) {
    serve({});
    std::string bytes;
    bytes.reserve(16 * mebibyte);
    while (bytes.size() < 16 * mebibyte) {
        bytes += std::string("\x0a\x00", 2);
    }
    const std::size_t before = resident_bytes();
    const auto status = send_bytes(records_method, bytes);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_NE(status.error_message().find("parts"), std::string::npos) << status.error_message();
    const std::size_t after = resident_bytes();
    expect_growth_below(after > before ? after - before : 0, 300 * mebibyte);
}

// What a large message becomes counts before anything is done with it.
TEST_F(intake_test, a_message_is_charged_before_it_is_looked_at) {
    protocol_settings settings;
    settings.unfinished_bytes_max = 8 * mebibyte;
    serve(settings);
    v2::AppendRecordsRequest request;
    for (int i = 0; i < 200'000; ++i) {
        (void)request.add_records();
    }
    v2::AppendRecordsResponse response;
    const auto context = make_context();
    EXPECT_EQ(records_->AppendRecords(context.get(), request, &response).error_code(),
              StatusCode::UNAVAILABLE);
    EXPECT_TRUE(append("s").ok()) << "nothing stays charged";
}

TEST_F(intake_test, an_append_that_is_too_large_is_refused_by_its_name) {
    protocol_settings settings;
    settings.append.contents = 4 * mebibyte;
    serve(settings);
    EXPECT_TRUE(send_records(mebibyte, 3).ok());
    const auto refused = send_records(mebibyte + mebibyte / 8, 4);
    EXPECT_EQ(refused.error_code(), StatusCode::ABORTED) << refused.error_message();
    EXPECT_NE(refused.error_message().find("4194304"), std::string::npos)
        << refused.error_message();
}

// Subscriptions fill their own part of the calls, and no more.
TEST_F(intake_test, subscriptions_leave_room_for_appends_and_reads) {
    protocol_settings settings;
    settings.calls_max = 16;
    serve(settings);
    client::streams::ReadReq request;
    auto& options = *request.mutable_options();
    options.mutable_stream()->mutable_stream_identifier()->set_stream_name("s");
    options.mutable_stream()->mutable_start();
    options.mutable_no_filter();
    options.mutable_subscription();
    std::vector<std::pair<std::unique_ptr<grpc::ClientContext>,
                          std::unique_ptr<grpc::ClientReader<client::streams::ReadResp>>>>
        subscriptions;
    grpc::Status refused;
    while (refused.ok() && subscriptions.size() < settings.calls_max) {
        auto context = make_context();
        auto reader = streams_->Read(context.get(), request);
        client::streams::ReadResp confirmation;
        if (reader->Read(&confirmation)) {
            subscriptions.emplace_back(std::move(context), std::move(reader));
        } else {
            refused = reader->Finish();
        }
    }
    EXPECT_EQ(refused.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_EQ(subscriptions.size(), 12u);
    EXPECT_TRUE(append("s").ok());
    for (const auto& [context, reader] : subscriptions) {
        context->TryCancel();
        (void)reader->Finish();
    }
}

} // namespace
} // namespace immortal::esdb
