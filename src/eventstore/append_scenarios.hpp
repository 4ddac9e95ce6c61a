// Scenarios of the event-store port: what an append expects, and what it repeats. Included by
// event_store_scenarios.hpp.
#pragma once

#include "eventstore/scenario_fixture.hpp"

namespace immortal::eventstore {

TEST_P(event_store_scenarios, a_new_store_has_no_events_of_users) {
    EXPECT_FALSE(store().identity().id.is_nil());
    EXPECT_EQ(store().state(), write_state::writable);
    const stream_page page = read("s-1");
    EXPECT_TRUE(page.events.empty() && page.end && !page.last);
    EXPECT_TRUE(read_all().end);
    EXPECT_TRUE(read_all().events.empty());
    const auto users = read_all(~0ull >> 1u, direction::backwards, 10, {{}, true});
    EXPECT_TRUE(users.events.empty() && users.end);
    EXPECT_FALSE(last_of("s-1"));
}

TEST_P(event_store_scenarios, what_was_appended_is_read_back_whole) {
    new_event event = make_event(7, "Came");
    event.data = std::string("\0\x01zwei\xff", 7);
    event.metadata = "";
    event.format = eventlog::content::binary;
    const auto outcome = append("s-1", expected::no_stream(), {event});
    expect_written(outcome, 0);
    const auto events = read("s-1").events;
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].stream, "s-1");
    EXPECT_EQ(events[0].id, event.id);
    EXPECT_EQ(events[0].type, "Came");
    EXPECT_EQ(events[0].data, event.data);
    EXPECT_EQ(events[0].metadata, "");
    EXPECT_EQ(events[0].format, eventlog::content::binary);
    EXPECT_EQ(events[0].position, outcome->position);
    EXPECT_EQ(store().head(), outcome->position);
}

TEST_P(event_store_scenarios, expected_revision_no_stream) {
    expect_written(append("s-1", expected::no_stream(), {make_event(1)}), 0);
    expect_conflict(append("s-1", expected::no_stream(), {make_event(2)}));
}

TEST_P(event_store_scenarios, expected_revision_exact) {
    expect_conflict(append("s-1", expected::at({0}), {make_event(1)}));
    expect_written(append("s-1", expected::any(), make_events(1, 3)), 2);
    expect_conflict(append("s-1", expected::at({3}), {make_event(9)}));
    expect_conflict(append("s-1", expected::at({1}), {make_event(9)}));
    expect_written(append("s-1", expected::at({2}), {make_event(9)}), 3);
    EXPECT_EQ(revisions_of(read("s-1").events), (numbers{0, 1, 2, 3}));
}

TEST_P(event_store_scenarios, expected_revision_stream_exists) {
    expect_conflict(append("s-1", expected::stream_exists(), {make_event(1)}));
    expect_written(append("s-1", expected::any(), {make_event(1)}), 0);
    expect_written(append("s-1", expected::stream_exists(), {make_event(2)}), 1);
    // A stream that only has metadata counts as existing.
    expect_written(append("$$s-2", expected::any(), {make_event(3, "$metadata")}), 0);
    expect_written(append("s-2", expected::stream_exists(), {make_event(4)}), 0);
}

TEST_P(event_store_scenarios, idempotency_any_first_id_unknown_writes) {
    expect_written(append("s-1", expected::any(), {make_event(1)}), 0);
    expect_written(append("s-1", expected::any(), {make_event(2), make_event(1)}), 2);
}

TEST_P(event_store_scenarios, idempotency_any_all_known_repeats_the_original) {
    const auto first = append("s-1", expected::any(), make_events(1, 3));
    expect_written(append("s-1", expected::any(), {make_event(9)}), 3);
    expect_repeated(append("s-1", expected::any(), make_events(1, 3)), first);
    expect_repeated(append("s-1", expected::stream_exists(), make_events(1, 3)), first);
    EXPECT_EQ(read("s-1").events.size(), 4u);
}

TEST_P(event_store_scenarios, idempotency_any_first_known_and_a_later_one_not_conflicts) {
    append("s-1", expected::any(), {make_event(1)}).value();
    expect_conflict(append("s-1", expected::any(), {make_event(1), make_event(2)}));
}

TEST_P(event_store_scenarios, idempotency_any_is_per_stream) {
    append("s-1", expected::any(), {make_event(1)}).value();
    expect_written(append("s-2", expected::any(), {make_event(1)}), 0);
    expect_written(append("s-1", expected::at({0}), {make_event(2)}), 1);
}

TEST_P(event_store_scenarios, idempotency_exact_all_equal_repeats) {
    const auto first = append("s-1", expected::no_stream(), make_events(1, 3));
    const auto second = append("s-1", expected::at({2}), make_events(4, 2));
    append("s-1", expected::any(), {make_event(9)}).value();
    expect_repeated(append("s-1", expected::no_stream(), make_events(1, 3)), first);
    expect_repeated(append("s-1", expected::at({2}), make_events(4, 2)), second);
    // A part of what follows the expected revision is found as well.
    const auto part = append("s-1", expected::no_stream(), make_events(1, 2));
    ASSERT_TRUE(part);
    EXPECT_TRUE(part->repeated);
    EXPECT_EQ(part->last_revisions[0], base::revision{1});
}

TEST_P(event_store_scenarios, idempotency_exact_a_differing_or_missing_later_id_conflicts) {
    append("s-1", expected::no_stream(), make_events(1, 2)).value();
    expect_conflict(append("s-1", expected::no_stream(), {make_event(1), make_event(9)}));
    expect_conflict(append("s-1", expected::no_stream(), make_events(1, 3)));
    expect_conflict(append("s-1", expected::at({0}), {make_event(1)}));
    expect_conflict(append("s-1", expected::no_stream(), {}));
}

TEST_P(event_store_scenarios, idempotency_exact_at_the_end_writes_the_same_id_again) {
    expect_written(append("s-1", expected::no_stream(), {make_event(1)}), 0);
    expect_written(append("s-1", expected::at({0}), {make_event(1)}), 1);
    EXPECT_EQ(read("s-1").events.size(), 2u);
}

} // namespace immortal::eventstore
