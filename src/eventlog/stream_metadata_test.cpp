#include "eventlog/stream_metadata.hpp"

#include <gtest/gtest.h>

namespace immortal::eventlog {
namespace {

using std::chrono::seconds;

TEST(stream_metadata, all_members_are_read) {
    const auto all = parse_stream_metadata(
        R"({"$maxCount":3,"$maxAge":60,"$tb":7,"$tmp":true,"$cacheControl":5,"mine":[1,{}],)"
        R"("$acl":{"$r":"$all","$w":["a","b"],"$d":[],"$mr":null,"other":1}})");
    EXPECT_EQ(all.max_count, 3u);
    EXPECT_EQ(all.max_age, seconds(60));
    EXPECT_EQ(all.truncate_before, 7u);
    EXPECT_EQ(all.cache_control, seconds(5));
    EXPECT_TRUE(all.temporary && all.truncates() && !all.soft_deleted());
    EXPECT_EQ(all.access.read, (std::vector<std::string>{"$all"}));
    EXPECT_EQ(all.access.write, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(all.access.remove, (std::vector<std::string>{}));
    EXPECT_FALSE(all.access.read_metadata || all.access.write_metadata);
}

TEST(stream_metadata, what_cannot_be_read_counts_as_absent) {
    for (const char* text : {"", "nonsense", "[]", "null", "{", "\"$tb\"", "{}", "{\"$tb\":"}) {
        EXPECT_EQ(parse_stream_metadata(text), stream_metadata{}) << text;
    }
    for (const char* text :
         {R"({"$maxCount":0})", R"({"$maxCount":-1})", R"({"$maxCount":"3"})",
          R"({"$maxCount":1.5})", R"({"$maxAge":0})", R"({"$tb":-1})", R"({"$tb":null})",
          R"({"$tb":9223372036854775808})", R"({"$tmp":1})", R"({"$acl":"$all"})"}) {
        EXPECT_EQ(parse_stream_metadata(text), stream_metadata{}) << text;
    }
    // One bad member does not spoil the others.
    EXPECT_EQ(parse_stream_metadata(R"({"$maxCount":-1,"$tb":2})").truncate_before, 2u);
    // An absurd age does not overflow a time.
    const auto ancient = parse_stream_metadata(R"({"$maxAge":9223372036854775807})");
    EXPECT_FALSE(too_old(ancient, {}, base::utc_time(std::chrono::hours(24 * 365 * 60))));
    recorded_event binary;
    binary.data = R"({"$tb":3})";
    EXPECT_EQ(metadata_of(binary).truncate_before, 3u);
    binary.format = content::binary;
    EXPECT_EQ(metadata_of(binary), stream_metadata{});
}

TEST(stream_metadata, the_lowest_readable_revision) {
    const auto lowest = [](const char* text, std::uint64_t last) {
        return lowest_readable(parse_stream_metadata(text), {last}).value;
    };
    EXPECT_EQ(lowest("{}", 9), 0u);
    EXPECT_EQ(lowest(R"({"$maxCount":3})", 9), 7u);
    EXPECT_EQ(lowest(R"({"$maxCount":10})", 9), 0u);
    EXPECT_EQ(lowest(R"({"$maxCount":11})", 9), 0u);
    EXPECT_EQ(lowest(R"({"$tb":4})", 9), 4u);
    EXPECT_EQ(lowest(R"({"$tb":4,"$maxCount":3})", 9), 7u);
    EXPECT_EQ(lowest(R"({"$tb":8,"$maxCount":3})", 9), 8u);
    EXPECT_EQ(lowest(R"({"$tb":50})", 9), 50u);
    EXPECT_EQ(lowest_readable(metadata_stream_metadata(), {4}).value, 4u);
}

TEST(stream_metadata, age_hides_what_is_older) {
    const auto minute = parse_stream_metadata(R"({"$maxAge":60})");
    const base::utc_time now(seconds(1000));
    EXPECT_TRUE(too_old(minute, base::utc_time(seconds(939)), now));
    EXPECT_FALSE(too_old(minute, base::utc_time(seconds(940)), now));
    EXPECT_FALSE(too_old({}, base::utc_time(seconds(0)), now));
}

TEST(stream_metadata, deleting_and_undeleting_texts) {
    EXPECT_EQ(soft_deleting_metadata(), R"({"$tb":9223372036854775807})");
    EXPECT_TRUE(parse_stream_metadata(soft_deleting_metadata()).soft_deleted());
    EXPECT_EQ(undeleting_metadata(R"({"$maxCount":5,"$tb":9223372036854775807,"mine":"x"})", {4}),
              R"({"$maxCount":5,"$tb":4,"mine":"x"})");
    EXPECT_EQ(undeleting_metadata("nonsense", {4}), R"({"$tb":4})");
}

TEST(stream_metadata, names) {
    EXPECT_EQ(metadata_stream_of("$settings"), "$$$settings");
    EXPECT_TRUE(is_metadata_stream("$$$settings"));
    EXPECT_FALSE(is_metadata_stream("$settings"));
    EXPECT_EQ(described_stream("$$$settings"), "$settings");
}

} // namespace
} // namespace immortal::eventlog
