// Version 2 appends, Gossip and Monitoring over a real client.
#include "base/json.hpp"
#include "esdb/node_services.hpp"
#include "esdb/store_fixture.hpp"
#include "esproto/status_details.hpp"
#include "esproto/wire/gossip.grpc.pb.h"
#include "esproto/wire/monitoring.grpc.pb.h"
#include "esproto/wire/server_features.grpc.pb.h"
#include "esproto/wire/streams_v2.grpc.pb.h"
#include "esproto/wire/streams_v2_errors.pb.h"

namespace immortal::esdb {
namespace {

namespace wire = ::kurrentdb::protocol::v2::streams;
namespace client = ::event_store::client;
using grpc::StatusCode;

class streams_v2_test : public store_fixture {
protected:
    void SetUp() override {
        store_fixture::SetUp();
        stub_ = wire::StreamsService::NewStub(channel_);
    }

    static void fill(std::uint64_t number, wire::AppendRecord& out) {
        base::uuid id;
        id.bytes[0] = 2;
        id.bytes[14] = static_cast<std::uint8_t>(number >> 8);
        id.bytes[15] = static_cast<std::uint8_t>(number);
        out.set_record_id(id.text());
        out.mutable_schema()->set_name("Happened");
        out.mutable_schema()->set_format(wire::SCHEMA_FORMAT_JSON);
        (*out.mutable_properties())["n"].set_number_value(static_cast<double>(number));
        (*out.mutable_properties())["who"].set_string_value("韩立");
        out.set_data("{}");
    }
    static wire::AppendRequest request_for(const std::string& stream, std::int64_t expected,
                                           const std::vector<std::uint64_t>& records) {
        wire::AppendRequest out;
        out.set_stream(stream);
        out.set_expected_revision(expected);
        for (const std::uint64_t number : records) {
            fill(number, *out.add_records());
        }
        return out;
    }
    static wire::AppendRecordsRequest
    records(const std::vector<std::pair<std::string, std::uint64_t>>& of) {
        wire::AppendRecordsRequest out;
        for (const auto& [stream, number] : of) {
            fill(number, *out.add_records());
            out.mutable_records()->rbegin()->set_stream(stream);
        }
        return out;
    }
    static void check(wire::AppendRecordsRequest& request, const std::string& stream,
                      std::int64_t state) {
        auto& one = *request.add_checks()->mutable_stream_state();
        one.set_stream(stream);
        one.set_expected_state(state);
    }

    struct outcome {
        grpc::Status status;
        wire::AppendSessionResponse session;
        wire::AppendRecordsResponse records;
        context_pointer context;
    };
    outcome session(const std::vector<wire::AppendRequest>& requests) {
        outcome out{{}, {}, {}, make_context()};
        const auto writer = stub_->AppendSession(out.context.get(), &out.session);
        for (const auto& request : requests) {
            if (!writer->Write(request)) {
                break;
            }
        }
        (void)writer->WritesDone();
        out.status = writer->Finish();
        return out;
    }
    outcome append_records(const wire::AppendRecordsRequest& request) {
        outcome out{{}, {}, {}, make_context()};
        out.status = stub_->AppendRecords(out.context.get(), request, &out.records);
        return out;
    }
    // The typed detail of a refusal; its ErrorInfo comes first.
    template <typename Detail>
    static Detail detail_of(const outcome& refused, StatusCode code) {
        EXPECT_EQ(refused.status.error_code(), code) << refused.status.error_message();
        const auto all =
            esproto::decode_status_details(trailer(*refused.context, "grpc-status-details-bin"));
        Detail detail;
        if (!all || all->details.size() != 2) {
            ADD_FAILURE() << "two details are expected";
            return detail;
        }
        EXPECT_EQ(all->details[0].type, "google.rpc.ErrorInfo");
        EXPECT_EQ(all->details[1].type, Detail::descriptor()->full_name());
        EXPECT_TRUE(detail.ParseFromString(all->details[1].value));
        return detail;
    }

    std::unique_ptr<wire::StreamsService::Stub> stub_;
};

TEST_P(streams_v2_test, a_session_writes_all_streams) {
    const auto out = session({request_for("a-1", -1, {1, 2}), request_for("b-1", -2, {3})});
    ASSERT_TRUE(out.status.ok()) << out.status.error_message();
    ASSERT_EQ(out.session.output_size(), 2);
    EXPECT_EQ(out.session.output(0).stream(), "a-1");
    EXPECT_EQ(out.session.output(0).stream_revision(), 1);
    EXPECT_EQ(out.session.output(1).stream_revision(), 0);
    const auto event = read(read_of_stream("a-1")).messages.at(0).event().event();
    EXPECT_EQ(event.metadata().at("type"), "Happened");
    EXPECT_EQ(event.metadata().at("content-type"), "application/json");
    const auto metadata = base::parse_json(event.custom_metadata());
    ASSERT_TRUE(metadata);
    EXPECT_EQ(metadata->at("n").as_int64(), 1);
    EXPECT_EQ(metadata->at("who").as_string(), "韩立");
    EXPECT_EQ(metadata->at("$schema.name").as_string(), "Happened");
    EXPECT_EQ(metadata->at("$schema.format").as_string(), "Json");
}

TEST_P(streams_v2_test, a_session_that_conflicts_writes_nothing) {
    write("b-1", {1});
    const auto out = session({request_for("a-1", -2, {1}), request_for("b-1", 5, {2})});
    const auto detail = detail_of<wire::errors::StreamRevisionConflictErrorDetails>(
        out, StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(detail.stream(), "b-1");
    EXPECT_EQ(detail.expected_revision(), 5);
    EXPECT_EQ(detail.actual_revision(), 0);
    EXPECT_TRUE(read(read_of_stream("a-1")).messages.at(0).has_stream_not_found());
}

TEST_P(streams_v2_test, refuses_what_is_no_session) {
    EXPECT_EQ(session({}).status.error_code(), StatusCode::FAILED_PRECONDITION);
    const auto twice = session({request_for("a-1", -2, {1}), request_for("a-1", -2, {2})});
    EXPECT_EQ(detail_of<wire::errors::StreamAlreadyInAppendSessionErrorDetails>(twice,
                                                                                StatusCode::ABORTED)
                  .stream(),
              "a-1");
    auto large = request_for("a-1", -2, {1});
    large.mutable_records(0)->set_data(std::string(eventlog::event_size_max, 'x'));
    EXPECT_EQ(detail_of<wire::errors::AppendRecordSizeExceededErrorDetails>(
                  session({large}), StatusCode::INVALID_ARGUMENT)
                  .max_size(),
              static_cast<std::int32_t>(eventlog::event_size_max));
    std::vector<wire::AppendRequest> many;
    for (const char* stream : {"a-1", "b-1", "c-1", "d-1", "e-1"}) {
        many.push_back(request_for(stream, -2, {1}));
        many.back().mutable_records(0)->set_data(std::string(15u << 20, 'x'));
    }
    (void)detail_of<wire::errors::AppendTransactionSizeExceededErrorDetails>(session(many),
                                                                             StatusCode::ABORTED);
    auto nameless = request_for("a-1", -2, {1});
    nameless.mutable_records(0)->clear_schema();
    EXPECT_EQ(session({nameless}).status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(session({request_for("a-1", -3, {1})}).status.error_code(),
              StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(session({request_for("", -2, {1})}).status.error_code(),
              StatusCode::INVALID_ARGUMENT);
}

TEST_P(streams_v2_test, a_tombstoned_stream_is_named) {
    client::streams::TombstoneReq request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name("a-1");
    request.mutable_options()->mutable_any();
    client::streams::TombstoneResp response;
    ASSERT_TRUE(streams_->Tombstone(make_context().get(), request, &response).ok());
    const auto out = session({request_for("a-1", -2, {1})});
    EXPECT_EQ(
        detail_of<wire::errors::StreamTombstonedErrorDetails>(out, StatusCode::FAILED_PRECONDITION)
            .stream(),
        "a-1");
}

TEST_P(streams_v2_test, records_go_to_their_streams_if_every_check_holds) {
    write("c-1", {1, 2});
    auto request = records({{"a-1", 1}, {"b-1", 2}, {"a-1", 3}});
    check(request, "a-1", -1);
    check(request, "c-1", 1); // only checked
    const auto out = append_records(request);
    ASSERT_TRUE(out.status.ok()) << out.status.error_message();
    ASSERT_EQ(out.records.revisions_size(), 2);
    EXPECT_EQ(out.records.revisions(0).stream(), "a-1");
    EXPECT_EQ(out.records.revisions(0).revision(), 1);
    EXPECT_EQ(out.records.revisions(1).revision(), 0);
    // In the log they stand as they were sent.
    const auto all = places(read(read_of_all()).messages);
    ASSERT_GE(all.size(), 3u);
    EXPECT_EQ(std::vector<std::string>(all.end() - 3, all.end()),
              (std::vector<std::string>{"a-1/0", "b-1/0", "a-1/1"}));
    EXPECT_EQ(read(read_of_stream("a-1")).revisions().size(), 2u);
    EXPECT_EQ(read(read_of_stream("c-1")).revisions().size(), 2u);
}

TEST_P(streams_v2_test, every_violated_check_is_told) {
    write("c-1", {1, 2});
    auto request = records({{"a-1", 1}});
    check(request, "c-1", 0);
    check(request, "a-1", -1);
    check(request, "d-1", -4);
    check(request, "e-1", -6);
    const auto detail = detail_of<wire::errors::AppendConsistencyViolationErrorDetails>(
        append_records(request), StatusCode::FAILED_PRECONDITION);
    ASSERT_EQ(detail.violations_size(), 3);
    EXPECT_EQ(detail.violations(0).check_index(), 0);
    EXPECT_EQ(detail.violations(0).stream_state().stream(), "c-1");
    EXPECT_EQ(detail.violations(0).stream_state().expected_state(), 0);
    EXPECT_EQ(detail.violations(0).stream_state().actual_state(), 1);
    EXPECT_EQ(detail.violations(1).check_index(), 2);
    EXPECT_EQ(detail.violations(1).stream_state().actual_state(), -1);
    EXPECT_EQ(detail.violations(2).check_index(), 3);
    EXPECT_TRUE(read(read_of_stream("a-1")).messages.at(0).has_stream_not_found());
}

TEST_P(streams_v2_test, a_check_says_how_each_stream_stands) {
    struct line {
        const char* stream;
        bool written;
        std::int64_t wanted;                // any: no check
        std::optional<std::int64_t> actual; // empty: accepted
    };
    const std::vector<line> lines{
        {"soft", false, -1, {}}, {"hard", false, -1, {}}, {"hard", true, -1, -6},
        {"hard", false, 1, -6},  {"hard", true, 1, -6},   {"hard", false, -4, -6},
        {"hard", true, -4, -6},  {"soft", false, -4, -5}, {"soft", true, -4, -5},
        {"hard", true, -6, -6},  {"hard", false, -6, {}}, {"soft", false, 0, 1},
        {"soft", true, 0, 1},    {"soft", false, -6, 1},  {"soft", true, -6, 1},
        {"hard", true, any, -6}, {"none", false, -4, -1}, {"none", false, -6, -1},
        {"none", false, -5, -1}, {"here", false, -5, 1},  {"here", true, -1, 1},
        {"hard", false, -5, -6}, {"soft", false, -5, {}}, {"soft", false, 1, {}},
        {"here", false, 1, {}},  {"here", false, -4, {}}, {"none", false, -1, {}},
    };
    for (const std::string stream : {"here", "soft", "hard"}) {
        write(stream, {1, 2});
    }
    client::streams::DeleteReq soft;
    soft.mutable_options()->mutable_stream_identifier()->set_stream_name("soft");
    soft.mutable_options()->mutable_any();
    client::streams::DeleteResp deleted;
    ASSERT_TRUE(streams_->Delete(make_context().get(), soft, &deleted).ok());
    client::streams::TombstoneReq hard;
    hard.mutable_options()->mutable_stream_identifier()->set_stream_name("hard");
    hard.mutable_options()->mutable_any();
    client::streams::TombstoneResp ended;
    ASSERT_TRUE(streams_->Tombstone(make_context().get(), hard, &ended).ok());
    std::uint64_t number = 100;
    for (const line& one : lines) {
        SCOPED_TRACE(std::string(one.stream) + (one.written ? " written, " : " checked, ") +
                     std::to_string(one.wanted));
        auto request = records({{one.written ? one.stream : "other", ++number}});
        if (one.wanted != any) {
            check(request, one.stream, one.wanted);
        }
        const auto out = append_records(request);
        if (!one.actual) {
            EXPECT_TRUE(out.status.ok()) << out.status.error_message();
            continue;
        }
        const auto detail = detail_of<wire::errors::AppendConsistencyViolationErrorDetails>(
            out, StatusCode::FAILED_PRECONDITION);
        ASSERT_EQ(detail.violations_size(), 1);
        EXPECT_EQ(detail.violations(0).check_index(), 0);
        EXPECT_EQ(detail.violations(0).stream_state().stream(), one.stream);
        EXPECT_EQ(detail.violations(0).stream_state().expected_state(), one.wanted);
        EXPECT_EQ(detail.violations(0).stream_state().actual_state(), *one.actual);
    }
}

TEST_P(streams_v2_test, checks_that_mean_nothing_are_refused) {
    auto twice = records({{"a-1", 1}});
    check(twice, "c-1", -1);
    check(twice, "c-1", -1);
    EXPECT_EQ(append_records(twice).status.error_code(), StatusCode::INVALID_ARGUMENT);
    for (const std::int64_t state : {-2, -3, -7}) {
        auto request = records({{"a-1", 1}});
        check(request, "c-1", state);
        EXPECT_EQ(append_records(request).status.error_code(), StatusCode::INVALID_ARGUMENT);
    }
    EXPECT_EQ(append_records(records({})).status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_TRUE(read(read_of_stream("a-1")).messages.at(0).has_stream_not_found());
}

TEST_P(streams_v2_test, the_checks_of_an_append_are_bounded) {
    auto request = records({{"a-1", 1}});
    for (int i = 0; i < 1'000; ++i) {
        check(request, "c-" + std::to_string(i), -1);
    }
    EXPECT_TRUE(append_records(request).status.ok());
    check(request, "one more", -1);
    const auto refused = append_records(request).status;
    EXPECT_EQ(refused.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_NE(refused.error_message().find("1001 consistency checks"), std::string::npos)
        << refused.error_message();
}

TEST_P(streams_v2_test, an_append_of_too_many_records_is_told_so) {
    auto request = request_for("a-1", -2, {1});
    wire::AppendRecord& first = *request.mutable_records(0);
    first.clear_data();
    first.clear_properties();
    for (std::size_t i = 1; i <= eventlog::append_events_max / 4; ++i) {
        *request.add_records() = first;
    }
    request.set_stream("a-1");
    std::vector<wire::AppendRequest> requests;
    for (const char* stream : {"a-1", "b-1", "c-1", "d-1"}) { // each message has its own limit
        requests.push_back(request);
        requests.back().set_stream(stream);
    }
    const auto refused = session(requests);
    (void)detail_of<wire::errors::AppendTransactionSizeExceededErrorDetails>(refused,
                                                                             StatusCode::ABORTED);
    EXPECT_NE(refused.status.error_message().find("131072 events"), std::string::npos)
        << refused.status.error_message();
    EXPECT_TRUE(read(read_of_stream("a-1")).messages.at(0).has_stream_not_found());
}

TEST_P(streams_v2_test, tells_what_it_can_do) {
    client::server_features::SupportedMethods all;
    ASSERT_TRUE(client::server_features::ServerFeatures::NewStub(channel_)
                    ->GetSupportedMethods(make_context().get(), {}, &all)
                    .ok());
    std::map<std::string, std::vector<std::string>> features;
    for (const auto& method : all.methods()) {
        features[method.service_name() + "/" + method.method_name()] = {method.features().begin(),
                                                                        method.features().end()};
    }
    EXPECT_EQ(features.at("event_store.client.streams.streams/batchappend"),
              std::vector<std::string>{"deadline_duration"});
    EXPECT_EQ(features.at("event_store.client.streams.streams/read"),
              (std::vector<std::string>{"position", "events"}));
    EXPECT_TRUE(features.contains("kurrentdb.protocol.v2.streams.streamsservice/appendsession"));
    EXPECT_TRUE(features.contains("kurrentdb.protocol.v2.streams.streamsservice/appendrecords"));
}

TEST_P(streams_v2_test, gossip_names_the_address_the_client_used) {
    client::gossip::ClusterInfo all;
    ASSERT_TRUE(
        client::gossip::Gossip::NewStub(channel_)->Read(make_context().get(), {}, &all).ok());
    ASSERT_EQ(all.members_size(), 1);
    EXPECT_EQ(all.members(0).state(), client::gossip::MemberInfo::Leader);
    EXPECT_TRUE(all.members(0).is_alive());
    EXPECT_EQ(all.members(0).http_end_point().address(), "127.0.0.1");
    EXPECT_EQ(all.members(0).http_end_point().port(), server_->port());
}

TEST_P(streams_v2_test, statistics_come_again_and_again) {
    client::monitoring::StatsReq request;
    request.set_refresh_time_period_in_ms(1);
    const auto context = make_context();
    const auto stub = client::monitoring::Monitoring::NewStub(channel_);
    const auto reader = stub->Stats(context.get(), request);
    client::monitoring::StatsResp message;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(reader->Read(&message));
        EXPECT_EQ(message.stats().at("es-writer-state"), "writable");
    }
    context->TryCancel();
    (void)reader->Finish();
}

TEST(authority, is_taken_apart) {
    using part = std::pair<std::string, std::uint16_t>;
    EXPECT_EQ(split_authority("localhost:2113"), (part{"localhost", 2113}));
    EXPECT_EQ(split_authority("[::1]:99"), (part{"::1", 99}));
    EXPECT_EQ(split_authority("[::1]"), (part{"::1", 0}));
    EXPECT_EQ(split_authority("host"), (part{"host", 0}));
    EXPECT_EQ(split_authority(""), (part{"", 0}));
}

INSTANTIATE_TEST_SUITE_P(stores, streams_v2_test,
                         testing::Values(adapter::memory, adapter::embedded), adapter_name);

} // namespace
} // namespace immortal::esdb
