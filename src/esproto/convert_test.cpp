#include "esproto/event.hpp"
#include "esproto/status_details.hpp"
#include "esproto/wire/persistent_subscriptions.grpc.pb.h"
#include "esproto/wire/status.pb.h"
#include "esproto/wire/streams.grpc.pb.h"
#include "esproto/wire/streams_v2.grpc.pb.h"
#include "esproto/wire/streams_v2_errors.pb.h"

#include <gtest/gtest.h>

namespace immortal::esproto {
namespace {

const base::uuid sample = *base::uuid::parse("80112233-4455-6677-8899-aabbccddeeff");

TEST(uuid_conversion, both_forms_come_back) {
    for (const uuid_form form : {uuid_form::structured, uuid_form::string}) {
        wire::UUID message;
        write_uuid(sample, form, message);
        EXPECT_EQ(read_uuid(message), sample);
    }
}

TEST(uuid_conversion, structured_is_two_big_endian_numbers) {
    wire::UUID message;
    write_uuid(sample, uuid_form::structured, message);
    EXPECT_EQ(static_cast<std::uint64_t>(message.structured().most_significant_bits()),
              0x8011223344556677u);
    EXPECT_EQ(static_cast<std::uint64_t>(message.structured().least_significant_bits()),
              0x8899aabbccddeeffu);
}

TEST(uuid_conversion, other_texts_are_understood_and_nonsense_is_not) {
    wire::UUID message;
    for (const char* text :
         {"{80112233-4455-6677-8899-aabbccddeeff}", "80112233445566778899AABBCCDDEEFF",
          "(80112233-4455-6677-8899-aabbccddeeff)", "80112233-4455-6677-8899-AABBCCDDEEFF"}) {
        message.set_string(text);
        EXPECT_EQ(read_uuid(message), sample) << text;
    }
    for (const char* text : {"", "{", "{}", "80112233445566778899aabbccddeefg",
                             "80112233-4455-6677-8899-aabbccddeef"}) {
        message.set_string(text);
        EXPECT_EQ(read_uuid(message), std::nullopt) << text;
    }
    EXPECT_EQ(read_uuid(wire::UUID{}), std::nullopt);
}

TEST(expected_conversion, every_value_comes_back) {
    for (const std::int64_t value :
         {expected::no_stream, expected::any, expected::stream_exists, std::int64_t{0},
          std::int64_t{7}, static_cast<std::int64_t>(value_max)}) {
        wire::streams::AppendReq::Options append;
        write_expected(value, append);
        EXPECT_EQ(read_expected(append), value);
        wire::streams::BatchAppendReq::Options batch;
        write_expected_position(value, batch);
        EXPECT_EQ(read_expected_position(batch), value);
    }
}

TEST(expected_conversion, nothing_chosen_and_too_large_are_told) {
    wire::streams::DeleteReq::Options options;
    EXPECT_EQ(read_expected(options), std::nullopt);
    options.set_revision(value_max + 1);
    EXPECT_EQ(read_expected(options), std::nullopt);
    options.set_revision(end_value);
    EXPECT_EQ(read_expected(options), expected::no_stream);
}

TEST(positions, legal_values) {
    EXPECT_TRUE(is_legal(0));
    EXPECT_TRUE(is_legal(value_max));
    EXPECT_TRUE(is_legal(end_value));
    EXPECT_FALSE(is_legal(value_max + 1));
    EXPECT_TRUE(is_legal(5, 5));
    EXPECT_TRUE(is_legal(6, 5));
    EXPECT_FALSE(is_legal(5, 6));
}

TEST(times, are_counted_in_hundreds_of_nanoseconds) {
    const base::utc_time time{std::chrono::microseconds{1'234'567}};
    EXPECT_EQ(ticks_text(time), "12345670");
    EXPECT_EQ(time_from_ticks("12345678"), time);
    EXPECT_EQ(time_from_ticks("12x"), std::nullopt);
    EXPECT_EQ(time_from_ticks(""), std::nullopt);
}

event_fields sample_event() {
    event_fields event;
    event.id = sample;
    event.stream = "a-1";
    event.revision = 3;
    event.commit_position = event.prepare_position = 99;
    event.type = "moved";
    event.is_json = true;
    event.created = base::utc_time{std::chrono::microseconds{5}};
    event.data = "{}";
    event.metadata = "[]";
    return event;
}

template <typename Message>
void expect_round_trip() {
    Message message;
    write_event(sample_event(), uuid_form::string, message);
    EXPECT_EQ(message.metadata().at("content-type"), "application/json");
    EXPECT_EQ(message.metadata().at("created"), "50");
    const auto back = read_event(std::move(message));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->id, sample);
    EXPECT_EQ(back->stream, "a-1");
    EXPECT_EQ(back->revision, 3u);
    EXPECT_EQ(back->commit_position, 99u);
    EXPECT_EQ(back->type, "moved");
    EXPECT_TRUE(back->is_json);
    EXPECT_EQ(back->data, "{}");
    EXPECT_EQ(back->metadata, "[]");
}

TEST(events, come_back_from_the_messages_of_both_services) {
    expect_round_trip<wire::streams::ReadResp::ReadEvent::RecordedEvent>();
    expect_round_trip<wire::persistent_subscriptions::ReadResp::ReadEvent::RecordedEvent>();
}

TEST(events, without_an_identifier_are_refused) {
    EXPECT_FALSE(read_event(wire::streams::ReadResp::ReadEvent::RecordedEvent{}));
}

TEST(status_message, with_two_details_comes_back) {
    kurrentdb::protocol::v2::streams::errors::StreamDeletedErrorDetails detail;
    detail.set_stream("s");
    const status_details status{9, "gone", {{"google.rpc.ErrorInfo", "x"}, make_detail(detail)}};
    const auto back = decode_status_details(encode(status));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, status);
    EXPECT_EQ(back->details[1].type,
              "kurrentdb.protocol.v2.streams.errors.StreamDeletedErrorDetails");
}

TEST(status_message, with_one_detail_is_the_message_of_version_1) {
    google::rpc::Status message;
    ASSERT_TRUE(message.ParseFromString(encode({6, "WrongExpectedVersion", {{"a.B", "v"}}})));
    EXPECT_EQ(message.code(), google::rpc::ALREADY_EXISTS);
    EXPECT_EQ(message.message(), "WrongExpectedVersion");
    EXPECT_EQ(message.details().type_url(), "type.googleapis.com/a.B");
    EXPECT_EQ(message.details().value(), "v");
}

TEST(status_message, cut_anywhere_is_never_read_beyond_its_end) {
    const std::string bytes = encode({9, "gone", {{"google.rpc.ErrorInfo", "x"}, {"b", "y"}}});
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto back = decode_status_details(std::string_view(bytes).substr(0, size));
        EXPECT_TRUE(!back || back->details.size() < 2) << size;
    }
}

TEST(service_names, are_those_clients_call) {
    EXPECT_STREQ(wire::streams::Streams::service_full_name(), "event_store.client.streams.Streams");
    EXPECT_STREQ(kurrentdb::protocol::v2::streams::StreamsService::service_full_name(),
                 "kurrentdb.protocol.v2.streams.StreamsService");
}

} // namespace
} // namespace immortal::esproto
