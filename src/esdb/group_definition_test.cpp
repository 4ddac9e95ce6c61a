#include "esdb/group_definition.hpp"

#include <gtest/gtest.h>

namespace immortal::esdb {
namespace {

TEST(group_definition_test, the_configuration_is_read_back_as_it_was_written) {
    group_definition stream{.stream = "s-1", .group = "g", .settings = {.max_retry_count = 3}};
    stream.start = {group_start::kind::place, 7};
    group_definition all{.stream = "$all", .group = "h"};
    all.start.what = group_start::kind::end;
    all.end_was = 4711;
    all.filter = {.type_prefixes = {"A", "B"}};
    group_definition expression{.stream = "$all", .group = "i"};
    expression.filter = {.stream_expression = "^[^$].*"};
    const auto read = parse_config(config_text({stream, all, expression}, base::utc_time{}, "me"));
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 3u);
    EXPECT_EQ((*read)[0].settings, stream.settings);
    EXPECT_EQ((*read)[0].start, stream.start);
    EXPECT_EQ((*read)[0].begins_after(), 6u);
    EXPECT_EQ((*read)[1].begins_after(), 4711u);
    EXPECT_EQ((*read)[1].filter->type_prefixes, all.filter->type_prefixes);
    EXPECT_EQ((*read)[2].filter->stream_expression, "^[^$].*");
    EXPECT_EQ((*read)[2].key(), "$all::i");
    for (const char* bad : {"", "[]", "{}", R"({"entries":[1]})", R"({"entries":[{}]})"}) {
        EXPECT_FALSE(parse_config(bad)) << bad;
    }
}

TEST(group_definition_test, places_as_text) {
    EXPECT_EQ(place_text(5, false), "5");
    EXPECT_EQ(place_text(5, true), "C:5/P:5");
    EXPECT_EQ(parse_place("C:5/P:4", true), 5u);
    EXPECT_EQ(start_text({group_start::kind::end}, true), "C:-1/P:-1");
    EXPECT_EQ(start_text({}, false), "0");
    for (const char* bad : {"", "C:/P:", "x", "C:1", "5", "C:1/P:x"}) {
        EXPECT_FALSE(parse_place(bad, true)) << bad;
    }
}

} // namespace
} // namespace immortal::esdb
