// Scenarios of the event-store port: appends over several streams or none, and what is refused.
// Included by event_store_scenarios.hpp.
#pragma once

#include "eventstore/scenario_fixture.hpp"

namespace immortal::eventstore {

TEST_P(event_store_scenarios, an_append_without_events_checks_and_writes_nothing) {
    const auto nothing = append("s-1", expected::any(), {});
    ASSERT_TRUE(nothing);
    EXPECT_FALSE(nothing->last_revisions[0]);
    append("s-1", expected::any(), {make_event(1)}).value();
    const auto head = store().head();
    EXPECT_EQ(append("s-1", expected::at({0}), {})->last_revisions[0], base::revision{0});
    expect_conflict(append("s-1", expected::at({1}), {}));
    EXPECT_EQ(store().head(), head);
}

TEST_P(event_store_scenarios, what_can_never_succeed_is_refused) {
    const auto code = [](const base::result<append_outcome>& outcome) {
        return outcome ? base::errc::internal : outcome.error().code;
    };
    new_event nameless = make_event(1);
    nameless.type.clear();
    new_event anonymous = make_event(1);
    anonymous.id = {};
    new_event huge = make_event(1);
    huge.data.resize(eventlog::event_size_max + 1);
    EXPECT_EQ(code(append({})), base::errc::invalid_argument);
    EXPECT_EQ(code(append("", expected::any(), {make_event(1)})), base::errc::invalid_argument);
    EXPECT_EQ(code(append("s", expected::any(), {nameless})), base::errc::invalid_argument);
    EXPECT_EQ(code(append("s", expected::any(), {anonymous})), base::errc::invalid_argument);
    EXPECT_EQ(code(append("s", expected::any(), {huge})), base::errc::too_large);
    EXPECT_EQ(code(append({{"s", {}, {make_event(1)}}, {"s", {}, {make_event(2)}}})),
              base::errc::invalid_argument);
    EXPECT_EQ(store().head(), before_);
}

TEST_P(event_store_scenarios, several_streams_are_written_together_or_not_at_all) {
    const auto both = append({{"a-1", expected::no_stream(), make_events(1, 2)},
                              {"b-1", expected::no_stream(), make_events(3, 1)}});
    ASSERT_TRUE(both);
    EXPECT_EQ(both->last_revisions,
              (std::vector<std::optional<base::revision>>{base::revision{1}, base::revision{0}}));
    expect_conflict(append({{"a-1", expected::at({1}), make_events(5, 1)},
                            {"b-1", expected::no_stream(), make_events(6, 1)}}),
                    "b-1");
    const auto events = read_all().events;
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events.back().position, both->position);
    EXPECT_FALSE(events[0].last_in_batch);
    EXPECT_FALSE(events[1].last_in_batch);
    EXPECT_TRUE(events[2].last_in_batch);
    EXPECT_EQ(events[0].created, events[2].created);
}

TEST_P(event_store_scenarios, events_of_several_streams_stand_in_the_order_of_their_places) {
    append("u-1", expected::no_stream(), {make_event(90)}).value();
    append({{"u-1", expected::any(), {}, stream_write::action::soft_delete}}).value();
    const auto seen = read_all().events.size();
    std::vector<stream_write> writes{{"a-1", expected::no_stream(), make_events(1, 3)},
                                     {"u-1", expected::any(), make_events(4, 1)},
                                     {"b-1", expected::no_stream(), make_events(5, 2)}};
    const auto place = [&](std::size_t write, std::vector<std::uint32_t> places) {
        for (std::size_t n = 0; n < places.size(); ++n) {
            writes[write].events[n].place = places[n];
        }
    };
    place(0, {1, 4, 5});
    place(1, {2});
    place(2, {0, 3});
    const auto both = append(writes).value();
    auto events = read_all().events;
    events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(seen));
    std::vector<std::string> order;
    for (const auto& event : events) {
        order.push_back(event.stream + "/" + std::to_string(event.revision.value));
        EXPECT_EQ(event.last_in_batch, order.size() == 7u);
    }
    // What undeletes a stream stands behind the events that did.
    EXPECT_EQ(order, (std::vector<std::string>{"b-1/0", "a-1/0", "u-1/1", "$$u-1/1", "b-1/1",
                                               "a-1/1", "a-1/2"}));
    EXPECT_EQ(both.position, events.back().position);
    EXPECT_EQ(append(writes)->position, both.position);
    for (const std::string stream : {"a-1", "b-1"}) {
        const auto page = read(stream);
        EXPECT_EQ(page.events.size(), stream == "a-1" ? 3u : 2u);
    }
    place(0, {2, 1, 1});
    const auto falling = append(writes);
    ASSERT_FALSE(falling);
    EXPECT_EQ(falling.error().field, "place");
}

TEST_P(event_store_scenarios, an_append_over_several_streams_repeats_as_one) {
    const std::vector<stream_write> writes{{"a-1", expected::no_stream(), make_events(1, 2)},
                                           {"c-1", expected::no_stream(), {}},
                                           {"b-1", expected::no_stream(), make_events(3, 1)}};
    const auto first = append(writes);
    append("c-1", expected::any(), make_events(8, 1)).value();
    const auto again = append(writes);
    ASSERT_TRUE(first && again);
    EXPECT_TRUE(again->repeated);
    EXPECT_EQ(again->position, first->position);
    // One stream repeated, the other to be written: not the same append.
    expect_conflict(append({{"a-1", expected::no_stream(), make_events(1, 2)},
                            {"d-1", expected::no_stream(), make_events(4, 1)}}),
                    "a-1");
}

} // namespace immortal::eventstore
