// Limits that the configuration gives an append: met before it is whole, and told by their numbers.
// The stores behind would take all of it.
#include "esdb/store_fixture.hpp"
#include "esproto/status_details.hpp"
#include "esproto/wire/shared.pb.h"
#include "esproto/wire/streams_v2.grpc.pb.h"
#include "esproto/wire/streams_v2_errors.pb.h"

namespace immortal::esdb {
namespace {

namespace client = ::event_store::client;
namespace v2 = ::kurrentdb::protocol::v2::streams;
using grpc::StatusCode;

constexpr append_limits limits{.events = 8, .encoded = 100'000};

class append_limits_test : public store_fixture {
protected:
    void change(protocol_settings& settings) override { settings.append = limits; }

    ::google::rpc::Status batch(int events, const std::string& data) {
        client::streams::BatchAppendReq request;
        request.mutable_correlation_id()->set_string("00000000-0000-0000-0000-000000000001");
        request.mutable_options()->mutable_stream_identifier()->set_stream_name("b-1");
        request.mutable_options()->mutable_any();
        for (int i = 0; i < events; ++i) {
            propose(static_cast<std::uint64_t>(i) + 1, *request.add_proposed_messages(), "Happened",
                    data);
        }
        request.set_is_final(true);
        const auto context = make_context();
        const auto stub = streams_->BatchAppend(context.get());
        client::streams::BatchAppendResp answer;
        EXPECT_TRUE(stub->Write(request) && stub->Read(&answer));
        context->TryCancel();
        (void)stub->Finish();
        return answer.error();
    }
    static void fill(v2::AppendRecord& record, const std::string& data) {
        record.mutable_schema()->set_name("Happened");
        record.mutable_schema()->set_format(v2::SCHEMA_FORMAT_JSON);
        record.set_data(data);
    }
    // By both methods of version 2: the typed details.
    std::vector<v2::errors::AppendTransactionSizeExceededErrorDetails>
    records(int events, const std::string& data) {
        const auto stub = v2::StreamsService::NewStub(channel_);
        v2::AppendRequest session;
        session.set_stream("c-1");
        v2::AppendRecordsRequest whole;
        for (int i = 0; i < events; ++i) {
            fill(*session.add_records(), data);
            fill(*whole.add_records(), data);
            whole.mutable_records()->rbegin()->set_stream("c-1");
        }
        std::vector<v2::errors::AppendTransactionSizeExceededErrorDetails> out;
        const auto context = make_context();
        v2::AppendSessionResponse response;
        const auto writer = stub->AppendSession(context.get(), &response);
        (void)writer->Write(session);
        (void)writer->WritesDone();
        out.push_back(detail_of(writer->Finish(), *context));
        const auto other = make_context();
        v2::AppendRecordsResponse answer;
        out.push_back(detail_of(stub->AppendRecords(other.get(), whole, &answer), *other));
        return out;
    }
    static v2::errors::AppendTransactionSizeExceededErrorDetails
    detail_of(const grpc::Status& status, const grpc::ClientContext& context) {
        EXPECT_EQ(status.error_code(), StatusCode::ABORTED) << status.error_message();
        const auto all =
            esproto::decode_status_details(trailer(context, "grpc-status-details-bin"));
        v2::errors::AppendTransactionSizeExceededErrorDetails out;
        EXPECT_TRUE(all && all->details.size() == 2 &&
                    out.ParseFromString(all->details.back().value));
        return out;
    }
};

TEST_P(append_limits_test, bytes_in_the_log_are_refused_by_their_number) {
    const std::string data(40'000, 'x');
    const auto one = append("a-1", any, {1, 2, 3}, "Happened", data);
    EXPECT_EQ(one.status.error_code(), StatusCode::INVALID_ARGUMENT) << one.status.error_message();
    EXPECT_EQ(trailer(*one.context, "exception"), "maximum-append-size-exceeded");
    EXPECT_EQ(trailer(*one.context, "maximum-append-size"), "100000");
    client::MaximumAppendSizeExceeded detail;
    ASSERT_TRUE(batch(3, data).details().UnpackTo(&detail));
    EXPECT_EQ(detail.maxappendsize(), 100'000u);
    for (const auto& refused : records(3, data)) {
        EXPECT_EQ(refused.max_size(), 100'000);
        EXPECT_GT(refused.size(), refused.max_size());
    }
    EXPECT_FALSE(store_->head().has_value() && engine_.run(store_->info("a-1"))->last);
    write("a-1", {1});
}

TEST_P(append_limits_test, events_are_refused_with_a_sentence) {
    const auto one = append("a-1", any, {1, 2, 3, 4, 5, 6, 7, 8, 9});
    EXPECT_EQ(one.status.error_code(), StatusCode::INVALID_ARGUMENT) << one.status.error_message();
    EXPECT_NE(one.status.error_message().find("8 events"), std::string::npos);
    EXPECT_EQ(trailer(*one.context, "maximum-append-size"), "100000");
    EXPECT_NE(batch(9, "{}").message().find("8 events"), std::string::npos);
    for (const auto& refused : records(9, "{}")) {
        EXPECT_EQ(refused.max_size(), 100'000);
    }
    write("a-1", {1, 2, 3, 4, 5, 6, 7, 8});
}

INSTANTIATE_TEST_SUITE_P(stores, append_limits_test,
                         testing::Values(adapter::memory, adapter::embedded), adapter_name);

} // namespace
} // namespace immortal::esdb
