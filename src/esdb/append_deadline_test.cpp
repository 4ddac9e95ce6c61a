// Appends of clients while a sync of the disk does not come back.
#include "base/memory_file_system.hpp"
#include "esdb/protocol_server.hpp"
#include "esproto/event.hpp"
#include "esproto/wire/shared.pb.h"
#include "esproto/wire/streams.grpc.pb.h"
#include "eventlog/log.hpp"
#include "eventlog/stalling_file_system.hpp"
#include "eventstore/embedded_store.hpp"

#include <gtest/gtest.h>

#include <grpcpp/create_channel.h>
#include <memory>

namespace immortal::esdb {
namespace {

namespace client = ::event_store::client;

class append_deadline_test : public testing::Test {
protected:
    void SetUp() override {
        engine_.start();
        log_ = eventlog::log::open({.folder = "/log", .free_space_min = 0}, slow_, clock_, random_,
                                   nullptr)
                   .value();
        store_ = eventstore::make_embedded_store(*log_);
        protocol_settings settings;
        settings.server.port = 0;
        settings.write_limit = std::chrono::milliseconds(30);
        server_ = std::make_unique<protocol_server>(engine_, *store_, clock_, random_, settings);
        ASSERT_TRUE(server_->start());
        streams_ = client::streams::Streams::NewStub(grpc::CreateChannel(
            "127.0.0.1:" + std::to_string(server_->port()), grpc::InsecureChannelCredentials()));
    }
    void TearDown() override {
        slow_.release();
        server_->stop(std::chrono::milliseconds(500));
        server_.reset();
        engine_.stop();
        store_.reset();
        log_.reset();
    }

    template <typename Proposed>
    static void propose(std::uint8_t number, Proposed& out) {
        base::uuid id;
        id.bytes[0] = 1;
        id.bytes[15] = number;
        esproto::write_uuid(id, esproto::uuid_form::string, *out.mutable_id());
        (*out.mutable_metadata())["type"] = "Happened";
        (*out.mutable_metadata())["content-type"] = "application/json";
        out.set_data("{}");
    }
    grpc::Status append(const std::string& stream, std::uint8_t number) {
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
        client::streams::AppendResp response;
        const auto writer = streams_->Append(&context, &response);
        client::streams::AppendReq message;
        auto& options = *message.mutable_options();
        options.mutable_stream_identifier()->set_stream_name(stream);
        options.mutable_no_stream();
        (void)writer->Write(message);
        message.Clear();
        propose(number, *message.mutable_proposed_message());
        (void)writer->Write(message);
        (void)writer->WritesDone();
        return writer->Finish();
    }
    client::streams::BatchAppendResp batch(const std::string& stream, std::uint8_t number) {
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
        const auto call = streams_->BatchAppend(&context);
        client::streams::BatchAppendReq message;
        esproto::write_uuid(base::uuid{{9}}, esproto::uuid_form::string,
                            *message.mutable_correlation_id());
        auto& options = *message.mutable_options();
        options.mutable_stream_identifier()->set_stream_name(stream);
        options.mutable_no_stream();
        propose(number, *message.add_proposed_messages());
        message.set_is_final(true);
        (void)call->Write(message);
        client::streams::BatchAppendResp answer;
        EXPECT_TRUE(call->Read(&answer));
        (void)call->WritesDone();
        (void)call->Finish();
        return answer;
    }
    std::size_t events_of(const std::string& stream) {
        return log_->read_stream(stream, {0}, eventlog::direction::forwards, 10)->events.size();
    }

    base::memory_file_system disk_{3};
    eventlog::stalling_file_system slow_{disk_};
    base::system_clock clock_;
    base::system_random random_;
    runtime::engine engine_;
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<eventstore::event_store> store_;
    std::unique_ptr<protocol_server> server_;
    std::unique_ptr<client::streams::Streams::Stub> streams_;
};

TEST_F(append_deadline_test, are_answered_in_time_and_repeating_them_tells_the_truth) {
    slow_.stall();
    for (int i = 0; i < 3; ++i) { // the first is under way, the others wait for it
        const auto answer = append("s-" + std::to_string(i), static_cast<std::uint8_t>(i + 1));
        ASSERT_EQ(answer.error_code(), grpc::StatusCode::ABORTED) << answer.error_message();
        EXPECT_TRUE(answer.error_message().starts_with("Operation timed out"));
    }
    const auto answer = batch("s-3", 4);
    EXPECT_TRUE(answer.has_error());
    EXPECT_TRUE(answer.error().details().type_url().ends_with("event_store.client.Timeout"));
    EXPECT_EQ(events_of("s-0"), 0u); // not durable: not seen
    slow_.release();
    for (int i = 0; i < 3; ++i) {
        grpc::Status again;
        do { // one that waits for the disk to catch up may be late once more
            again = append("s-" + std::to_string(i), static_cast<std::uint8_t>(i + 1));
        } while (again.error_code() == grpc::StatusCode::ABORTED);
        EXPECT_TRUE(again.ok()) << again.error_message();
        EXPECT_EQ(events_of("s-" + std::to_string(i)), 1u);
    }
}

// The server goes, the log keeps what it was given: its bytes go back to a budget that nobody else
// holds any more.
TEST_F(append_deadline_test, a_server_may_stop_before_the_log_is_done) {
    slow_.stall();
    EXPECT_EQ(append("s-0", 1).error_code(), grpc::StatusCode::ABORTED);
    server_->stop(std::chrono::milliseconds(500));
    server_ =
        std::make_unique<protocol_server>(engine_, *store_, clock_, random_, protocol_settings{});
    slow_.release();
    log_->close();
}

} // namespace
} // namespace immortal::esdb
