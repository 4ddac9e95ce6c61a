// Scenarios of the event-store port: streams that an append only checks. Included by
// event_store_scenarios.hpp.
#pragma once

#include "eventstore/scenario_fixture.hpp"

namespace immortal::eventstore {

TEST_P(event_store_scenarios, a_stream_that_is_only_checked_is_not_written) {
    using action = stream_write::action;
    append("here", expected::any(), make_events(1, 2)).value();
    append("soft", expected::any(), make_events(11, 2)).value();
    remove("soft").value();
    append("hard", expected::any(), make_events(21, 2)).value();
    tombstone("hard").value();
    const std::vector<std::pair<std::string, expected>> holding{
        {"here", expected::at({1})},        {"here", expected::stream_exists()},
        {"none", expected::no_stream()},    {"soft", expected::no_stream()},
        {"hard", expected::no_stream()},    {"soft", expected::at({1})},
        {"soft", expected::soft_deleted()}, {"hard", expected::tombstoned()}};
    std::uint64_t number = 100;
    for (const auto& [stream, wanted] : holding) {
        const auto done = append({{"written", expected::any(), make_events(++number, 1)},
                                  {stream, wanted, {}, action::check}});
        EXPECT_TRUE(done) << stream << ": " << done.error().message;
    }
    const auto before = store().head();
    const std::vector<std::pair<std::string, expected>> failing{
        {"here", expected::at({0})},         {"here", expected::no_stream()},
        {"none", expected::stream_exists()}, {"soft", expected::stream_exists()},
        {"hard", expected::at({1})},         {"hard", expected::stream_exists()},
        {"here", expected::soft_deleted()},  {"none", expected::tombstoned()}};
    for (const auto& [stream, wanted] : failing) {
        const auto refused = append({{"written", expected::any(), make_events(++number, 1)},
                                     {stream, wanted, {}, action::check}});
        ASSERT_FALSE(refused) << stream;
        EXPECT_EQ(refused.error().field, stream);
        EXPECT_TRUE(refused.error().code == base::errc::conflict ||
                    refused.error().code == base::errc::deleted);
    }
    EXPECT_EQ(store().head(), before);
    EXPECT_EQ(last_of("here"), base::revision{1});
}

TEST_P(event_store_scenarios, a_repeated_append_is_known_whatever_its_checks_say_by_now) {
    const std::vector<stream_write> writes{
        {"a-1", expected::no_stream(), make_events(1, 2)},
        {"c-1", expected::no_stream(), {}, stream_write::action::check}};
    const auto first = append(writes);
    append("c-1", expected::any(), make_events(8, 1)).value();
    const auto again = append(writes);
    ASSERT_TRUE(first && again) << again.error().message;
    EXPECT_TRUE(again->repeated);
    EXPECT_EQ(again->position, first->position);
}

} // namespace immortal::eventstore
