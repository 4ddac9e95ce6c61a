// Scenarios of the event-store port: reading streams and everything, both ways. Included by
// event_store_scenarios.hpp.
#pragma once

#include "eventstore/scenario_fixture.hpp"

namespace immortal::eventstore {

TEST_P(event_store_scenarios, streams_are_read_in_pages_both_ways) {
    for (std::uint64_t i = 0; i < 5; ++i) {
        append("s-1", expected::any(), make_events(i * 2 + 1, 2)).value();
        append("other", expected::any(), make_events(100 + i, 1)).value();
    }
    const auto first = read("s-1", 0, direction::forwards, 4);
    EXPECT_EQ(revisions_of(first.events), (numbers{0, 1, 2, 3}));
    EXPECT_FALSE(first.end);
    EXPECT_EQ(first.last, base::revision{9});
    const auto rest = read("s-1", 4, direction::forwards, 6);
    EXPECT_EQ(revisions_of(rest.events), (numbers{4, 5, 6, 7, 8, 9}));
    EXPECT_TRUE(rest.end);
    const auto back = read("s-1", ~0ull >> 1u, direction::backwards, 3);
    EXPECT_EQ(revisions_of(back.events), (numbers{9, 8, 7}));
    EXPECT_FALSE(back.end);
    EXPECT_EQ(revisions_of(read("s-1", 1, direction::backwards, 9).events), (numbers{1, 0}));
    const auto beyond = read("s-1", 10);
    EXPECT_TRUE(beyond.events.empty() && beyond.end);
    EXPECT_EQ(beyond.last, base::revision{9});
}

TEST_P(event_store_scenarios, everything_is_read_in_pages_both_ways) {
    std::vector<base::position> written;
    for (std::uint64_t i = 0; i < 20; ++i) {
        append("s-" + std::to_string(i % 3), expected::any(), make_events(i * 3 + 1, 3)).value();
    }
    std::vector<recorded_event> forwards;
    for (all_page page = read_all(0, direction::forwards, 7);;
         page = read_all(page.next.value, direction::forwards, 7)) {
        forwards.insert(forwards.end(), page.events.begin(), page.events.end());
        if (page.end) {
            break;
        }
    }
    ASSERT_EQ(forwards.size(), 60u);
    EXPECT_TRUE(std::ranges::is_sorted(forwards, std::less_equal<>{},
                                       [](const auto& e) { return e.position.value; }));
    EXPECT_EQ(forwards.back().position, store().head());
    std::vector<recorded_event> backwards;
    for (all_page page = read_all(~0ull >> 1u, direction::backwards, 7);;
         page = read_all(page.next.value, direction::backwards, 7)) {
        backwards.insert(backwards.end(), page.events.begin(), page.events.end());
        if (page.end) {
            break;
        }
    }
    std::ranges::reverse(backwards);
    ASSERT_GE(backwards.size(), 60u);
    backwards.erase(backwards.begin(), backwards.end() - 60);
    for (std::size_t i = 0; i < 60; ++i) {
        EXPECT_EQ(backwards[i].position, forwards[i].position);
        EXPECT_EQ(backwards[i].data, forwards[i].data);
    }
}

TEST_P(event_store_scenarios, reading_all_starts_at_any_number) {
    append("s-1", expected::any(), make_events(1, 5)).value();
    const auto events = read_all().events;
    ASSERT_EQ(events.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) {
        const std::uint64_t at = events[i].position.value;
        EXPECT_EQ(read_all(at).events.size(), 5 - i);
        EXPECT_EQ(read_all(at + 1).events.size(), 4 - i);
        const all_filter mine{{"s-1"}};
        EXPECT_EQ(read_all(at, direction::backwards, 1000, mine).events.size(), i);
        EXPECT_EQ(read_all(at + 1, direction::backwards, 1000, mine).events.size(), i + 1);
    }
}

TEST_P(event_store_scenarios, filters_choose_by_stream_and_type) {
    append("player-1", expected::any(), make_events(1, 2)).value();
    append("guild-1", expected::any(), make_events(3, 2)).value();
    append("$$player-1", expected::any(), {make_event(5, "$metadata")}).value();
    append("player-2", expected::any(), {make_event(6), make_event(7, "$odd")}).value();
    const auto count = [this](all_filter filter) {
        return read_all(0, direction::forwards, 1000, std::move(filter)).events.size();
    };
    EXPECT_EQ(count({}), 7u);
    EXPECT_EQ(count({{"player-"}, false}), 4u);
    EXPECT_EQ(count({{"player-", "guild-"}, false}), 6u);
    EXPECT_EQ(count({{}, true}), 5u);
    EXPECT_EQ(count({{"player-"}, true}), 3u);
    EXPECT_EQ(count({{"nobody-"}, true}), 0u);
    const auto back = read_all(~0ull >> 1u, direction::backwards, 2, {{"guild-"}, false});
    EXPECT_EQ(revisions_of(back.events), (numbers{1, 0}));
}

} // namespace immortal::eventstore
