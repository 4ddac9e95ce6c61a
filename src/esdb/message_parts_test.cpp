#include "esdb/message_parts.hpp"
#include "esproto/wire/streams_v2.pb.h"

#include <gtest/gtest.h>

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace immortal::esdb {
namespace {

namespace v2 = ::kurrentdb::protocol::v2::streams;

bool few(const std::string& bytes, std::size_t parts_max) {
    google::protobuf::io::ArrayInputStream in(bytes.data(), static_cast<int>(bytes.size()), 3);
    const auto parts = count_parts(in, *v2::AppendRecordsRequest::descriptor(), parts_max);
    return parts && *parts <= parts_max;
}

TEST(message_parts, counts_messages_at_every_depth) {
    v2::AppendRecordsRequest request;
    auto& record = *request.add_records();                                  // 1
    record.mutable_schema()->set_name("Happened");                          // 2
    auto& list = *(*record.mutable_properties())["x"].mutable_list_value(); // entry, value, list: 5
    list.add_values()->set_bool_value(true);                                // 6
    list.add_values()->set_string_value(std::string(1'000, 'x'));           // 7
    request.add_checks()->mutable_stream_state()->set_stream("s");          // 9
    const std::string bytes = request.SerializeAsString();
    EXPECT_TRUE(few(bytes, 9));
    EXPECT_FALSE(few(bytes, 8));
}

TEST(message_parts, an_empty_part_costs_as_much_as_any) {
    std::string bytes;
    for (int i = 0; i < 1'000; ++i) {
        bytes += std::string("\x0a\x00", 2);
    }
    EXPECT_TRUE(few(bytes, 1'000));
    EXPECT_FALSE(few(bytes, 999));
}

TEST(message_parts, what_is_no_message_has_too_many) {
    EXPECT_FALSE(few(std::string("\x0a\x7f\x00", 3), 1'000)) << "longer than there is";
    EXPECT_FALSE(few(std::string("\x0a\x02\x0f\x00", 4), 1'000)) << "an impossible wire type";
    EXPECT_TRUE(few("", 0));
}

TEST(message_parts, the_largest_append_has_few) {
    v2::AppendRecordsRequest one;
    auto& record = *one.add_records();
    record.set_stream("s");
    record.mutable_schema()->set_name("Happened");
    for (const char* key : {"1", "2", "3", "4", "5", "6", "7"}) {
        (*record.mutable_properties())[key].set_number_value(1);
    }
    const std::string bytes = one.SerializeAsString();
    google::protobuf::io::ArrayInputStream in(bytes.data(), static_cast<int>(bytes.size()));
    const auto parts = count_parts(in, *v2::AppendRecordsRequest::descriptor());
    ASSERT_TRUE(parts);
    EXPECT_LE(*parts * eventlog::append_events_max, message_parts_max);
}

} // namespace
} // namespace immortal::esdb
