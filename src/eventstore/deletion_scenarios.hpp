// Scenarios of the event-store port: metadata that hides events, deletes and tombstones. Included
// by event_store_scenarios.hpp.
#pragma once

#include "eventstore/scenario_fixture.hpp"

namespace immortal::eventstore {

constexpr const char* soft_deleting = R"({"$tb":9223372036854775807})";

TEST_P(event_store_scenarios, metadata_hides_the_beginning_of_a_stream) {
    append("s-1", expected::any(), make_events(1, 10)).value();
    set_metadata("s-1", R"({"$maxCount":3})").value();
    EXPECT_EQ(revisions_of(read("s-1").events), (numbers{7, 8, 9}));
    const auto first = read("s-1", 0, direction::forwards, 2);
    EXPECT_EQ(revisions_of(first.events), (numbers{7, 8}));
    EXPECT_FALSE(first.end);
    EXPECT_EQ(first.next_readable, base::revision{7});
    EXPECT_EQ(first.last, base::revision{9});
    const auto back = read("s-1", 100, direction::backwards, 9);
    EXPECT_EQ(revisions_of(back.events), (numbers{9, 8, 7}));
    EXPECT_TRUE(back.end);
    EXPECT_TRUE(read("s-1", 6, direction::backwards).events.empty());
    append("s-1", expected::at({9}), make_events(20, 1)).value();
    EXPECT_EQ(revisions_of(read("s-1").events), (numbers{8, 9, 10}));
    set_metadata("s-1", R"({"$maxCount":3,"$tb":10})").value();
    EXPECT_EQ(revisions_of(read("s-1").events), (numbers{10}));
    set_metadata("s-1", R"({"$tb":50})").value();
    EXPECT_TRUE(read("s-1").events.empty() && read("s-1").end);
    EXPECT_EQ(read("s-1").next_readable, base::revision{50});
    set_metadata("s-1", "nonsense").value();
    EXPECT_EQ(read("s-1").events.size(), 11u);
    EXPECT_EQ(read("s-1", 11).next_readable, base::revision{11});
    set_metadata("s-1", R"({"$maxAge":1000000})").value();
    EXPECT_EQ(read("s-1").events.size(), 11u);
    EXPECT_EQ(last_of("s-1"), base::revision{10});
    // What is hidden stays in the log.
    EXPECT_EQ(read_all(0, direction::forwards, 1000, {{"s-1"}}).events.size(), 11u);
}

TEST_P(event_store_scenarios, of_metadata_only_the_last_event_is_shown) {
    set_metadata("s-1", R"({"mine":1})").value();
    set_metadata("s-1", R"({"mine":2})").value();
    const auto page = read("$$s-1");
    EXPECT_EQ(revisions_of(page.events), (numbers{1}));
    EXPECT_EQ(page.events[0].data, R"({"mine":2})");
    EXPECT_EQ(revisions_of(read("$$s-1", 9, direction::backwards).events), (numbers{1}));
    const auto about = info("s-1");
    ASSERT_TRUE(about.metadata);
    EXPECT_EQ(about.metadata->data, R"({"mine":2})");
    EXPECT_FALSE(about.last || about.soft_deleted || about.tombstoned);
}

TEST_P(event_store_scenarios, a_soft_delete_hides_everything_and_is_found_in_the_metadata) {
    append("s-1", expected::any(), make_events(1, 3)).value();
    EXPECT_EQ(read("s-1").events.size(), 3u); // what a reader remembers is brought up to date
    expect_conflict(remove("s-1", expected::at({1})));
    expect_conflict(remove("s-1", expected::no_stream()));
    const auto deleted = remove("s-1", expected::at({2}));
    ASSERT_TRUE(deleted) << deleted.error().message;
    EXPECT_EQ(deleted->last_revisions[0], base::revision{2});
    const auto page = read("s-1");
    EXPECT_TRUE(page.events.empty() && page.end && page.soft_deleted);
    EXPECT_EQ(page.last, base::revision{2});
    const auto metadata = read("$$s-1").events;
    ASSERT_EQ(metadata.size(), 1u);
    EXPECT_EQ(metadata[0].type, "$metadata");
    EXPECT_EQ(metadata[0].data, soft_deleting);
    EXPECT_EQ(metadata[0].position, deleted->position);
    EXPECT_TRUE(info("s-1").soft_deleted);
    EXPECT_EQ(read_all().events.size(), 4u);
    // Again: any works, and what expects the stream to exist is told that it is deleted.
    EXPECT_TRUE(remove("s-1"));
    expect_refused(remove("s-1", expected::stream_exists()), base::errc::deleted, "soft_deleted");
}

TEST_P(event_store_scenarios, a_delete_needs_something_to_delete) {
    expect_conflict(remove("s-1"));
    expect_conflict(remove("s-1", expected::no_stream()));
    expect_conflict(remove("s-1", expected::stream_exists()));
    set_metadata("s-1", R"({"$maxCount":2})").value();
    EXPECT_TRUE(remove("s-1"));
    EXPECT_EQ(read("$$s-1").events[0].data, soft_deleting);
}

TEST_P(event_store_scenarios, events_undelete_a_stream_and_their_numbers_go_on) {
    append("s-1", expected::any(), make_events(1, 3)).value();
    for (const auto& again : {expected::any(), expected::no_stream(), expected::at({6})}) {
        remove("s-1").value();
        const std::uint64_t before = last_of("s-1")->value;
        const auto outcome = append("s-1", again, make_events(100 + before, 2));
        expect_written(outcome, before + 2);
        const auto page = read("s-1");
        EXPECT_FALSE(page.soft_deleted);
        EXPECT_EQ(revisions_of(page.events), (numbers{before + 1, before + 2}));
        EXPECT_EQ(page.events.back().position, outcome->position);
        EXPECT_EQ(read("$$s-1").events[0].data, "{\"$tb\":" + std::to_string(before + 1) + "}");
        // In one append.
        const auto last = read_all(page.events[0].position.value).events;
        ASSERT_EQ(last.size(), 3u);
        EXPECT_FALSE(last[0].last_in_batch || last[1].last_in_batch);
        EXPECT_TRUE(last[2].last_in_batch);
    }
    remove("s-1").value();
    expect_refused(append("s-1", expected::stream_exists(), make_events(500, 1)),
                   base::errc::deleted, "soft_deleted");
    expect_conflict(append("s-1", expected::at({3}), make_events(501, 1)));
    // The ids of what is deleted are still known.
    const auto repeated = append("s-1", expected::no_stream(), make_events(1, 3));
    ASSERT_TRUE(repeated) << repeated.error().message;
    EXPECT_TRUE(repeated->repeated);
    EXPECT_TRUE(read("s-1").soft_deleted);
}

TEST_P(event_store_scenarios, metadata_undeletes_a_stream) {
    append("s-1", expected::any(), make_events(1, 3)).value();
    remove("s-1").value();
    expect_written(set_metadata("s-1", R"({"$maxCount":5,"mine":"x"})"), 1);
    EXPECT_EQ(read("$$s-1").events[0].data, R"({"$maxCount":5,"mine":"x","$tb":3})");
    EXPECT_EQ(read("$$s-1").last, base::revision{2});
    EXPECT_FALSE(read("s-1").soft_deleted);
    EXPECT_TRUE(read("s-1").events.empty());
    expect_written(append("s-1", expected::stream_exists(), make_events(9, 1)), 3);
    EXPECT_EQ(revisions_of(read("s-1").events), (numbers{3}));
    // Metadata may delete a stream, and deleting it again changes nothing.
    set_metadata("s-1", soft_deleting).value();
    EXPECT_TRUE(read("s-1").soft_deleted);
    set_metadata("s-1", soft_deleting).value();
    EXPECT_TRUE(read("s-1").soft_deleted);
}

TEST_P(event_store_scenarios, a_tombstone_ends_a_stream_for_ever) {
    append("s-1", expected::any(), make_events(1, 2)).value();
    set_metadata("s-1", R"({"mine":1})").value();
    expect_conflict(tombstone("s-1", expected::at({5})));
    const auto ended = tombstone("s-1", expected::at({1}));
    ASSERT_TRUE(ended) << ended.error().message;
    EXPECT_EQ(ended->last_revisions[0], eventlog::tombstone_revision);
    EXPECT_EQ(read_error("s-1"), base::errc::deleted);
    EXPECT_EQ(read_error("$$s-1"), base::errc::deleted);
    for (const auto& any :
         {expected::any(), expected::no_stream(), expected::at({1}), expected::stream_exists()}) {
        expect_refused(append("s-1", any, make_events(1, 2)), base::errc::deleted, "tombstoned");
        expect_refused(remove("s-1", any), base::errc::deleted, "tombstoned");
        expect_refused(tombstone("s-1", any), base::errc::deleted, "tombstoned");
    }
    expect_refused(set_metadata("s-1", "{}"), base::errc::deleted, "tombstoned");
    EXPECT_TRUE(info("s-1").tombstoned);
    EXPECT_EQ(info("s-1").last, eventlog::tombstone_revision);
    const auto last = read_all(ended->position.value).events;
    ASSERT_EQ(last.size(), 1u);
    EXPECT_EQ(last[0].type, "$streamDeleted");
    EXPECT_EQ(last[0].stream, "s-1");
    EXPECT_EQ(last[0].revision, eventlog::tombstone_revision);
}

TEST_P(event_store_scenarios, a_stream_that_was_never_written_may_be_tombstoned) {
    expect_conflict(tombstone("s-1", expected::stream_exists()));
    expect_conflict(tombstone("s-1", expected::at({0})));
    EXPECT_TRUE(tombstone("s-1", expected::no_stream()));
    EXPECT_TRUE(tombstone("s-2"));
    EXPECT_EQ(read_error("s-2"), base::errc::deleted);
    append("s-3", expected::any(), make_events(1, 1)).value();
    remove("s-3").value();
    EXPECT_TRUE(tombstone("s-3"));
}

TEST_P(event_store_scenarios, deletes_are_atomic_with_other_writes) {
    append("a-1", expected::any(), make_events(1, 2)).value();
    append("b-1", expected::any(), make_events(3, 2)).value();
    expect_conflict(append({{"a-1", expected::at({1}), {}, stream_write::action::soft_delete},
                            {"b-1", expected::at({0}), make_events(9, 1)}}),
                    "b-1");
    EXPECT_FALSE(read("a-1").soft_deleted);
    EXPECT_TRUE(append({{"a-1", expected::at({1}), {}, stream_write::action::soft_delete},
                        {"b-1", expected::at({1}), {}, stream_write::action::tombstone},
                        {"c-1", expected::no_stream(), make_events(9, 1)}}));
    EXPECT_TRUE(read("a-1").soft_deleted);
    EXPECT_EQ(read_error("b-1"), base::errc::deleted);
    EXPECT_EQ(read("c-1").events.size(), 1u);
    // A soft-deleted stream and its metadata in one append: one undeleting event.
    new_event metadata = make_event(50, "$metadata");
    metadata.data = R"({"mine":1})";
    EXPECT_TRUE(append(
        {{"a-1", expected::any(), make_events(60, 1)}, {"$$a-1", expected::any(), {metadata}}}));
    EXPECT_EQ(revisions_of(read("a-1").events), (numbers{2}));
    EXPECT_EQ(read("$$a-1").events[0].data, R"({"mine":1,"$tb":2})");
    EXPECT_EQ(append({{"$$a-1", {}, {}, stream_write::action::soft_delete}}).error().code,
              base::errc::invalid_argument);
    EXPECT_EQ(
        append({{"a-1", {}, make_events(70, 1), stream_write::action::tombstone}}).error().code,
        base::errc::invalid_argument);
}

TEST_P(event_store_scenarios, a_subscription_waits_for_a_deleted_stream_and_ends_with_it) {
    append("s-1", expected::any(), make_events(1, 2)).value();
    remove("s-1").value();
    const auto one = store().subscribe_stream("s-1", std::nullopt);
    EXPECT_TRUE(next(*one)->events.empty());
    append("s-1", expected::any(), make_events(3, 1)).value();
    EXPECT_EQ(revisions_of(next(*one)->events), (numbers{2}));
    const auto ended = tombstone("s-1");
    const auto last = next(*one);
    ASSERT_TRUE(last);
    ASSERT_EQ(last->events.size(), 1u);
    EXPECT_EQ(last->events[0].type, "$streamDeleted");
    EXPECT_EQ(last->processed, ended->position);
    EXPECT_EQ(next(*one).error().code, base::errc::deleted);
    const auto late = store().subscribe_stream("s-1", std::nullopt);
    EXPECT_EQ(next(*late).error().code, base::errc::deleted);
}

} // namespace immortal::eventstore
