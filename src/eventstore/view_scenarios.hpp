// Scenarios of the event-store port: views, links and filters. Included by
// event_store_scenarios.hpp.
#pragma once

#include "eventstore/scenario_fixture.hpp"

namespace immortal::eventstore {

namespace scenario_detail {

inline std::vector<std::string> data_of(const std::vector<recorded_event>& events) {
    std::vector<std::string> out;
    for (const auto& event : events) {
        out.push_back(event.data);
    }
    return out;
}

inline new_event make_link(std::uint64_t number, std::string data) {
    new_event link = make_event(number, "$>");
    link.data = std::move(data);
    link.format = eventlog::content::binary;
    return link;
}

using texts = std::vector<std::string>;

} // namespace scenario_detail

TEST_P(event_store_scenarios, views_are_read_like_streams_of_links) {
    using namespace scenario_detail;
    append("cat-1", expected::any(), {make_event(1, "A"), make_event(2, "B")}).value();
    append("dog-1", expected::any(), {make_event(3, "A")}).value();
    append("$cat-x", expected::any(), {make_event(4, "Y")}).value();
    append("cat-2", expected::any(), {make_link(5, "0@cat-1"), make_event(6, "A")}).value();
    const auto page = read("$ce-cat");
    EXPECT_EQ(data_of(page.events), (texts{"0@cat-1", "1@cat-1", "1@cat-2"}));
    EXPECT_EQ(revisions_of(page.events), (numbers{0, 1, 2}));
    EXPECT_TRUE(page.end);
    EXPECT_EQ(page.last, base::revision{2});
    const auto target = read("cat-1").events[1];
    const auto& link = page.events[1];
    EXPECT_EQ(link.type, "$>");
    EXPECT_EQ(link.stream, "$ce-cat");
    EXPECT_EQ(link.position, target.position);
    EXPECT_EQ(link.created, target.created);
    EXPECT_FALSE(link.id.is_nil());
    EXPECT_EQ(link.id, read("$ce-cat", 1, direction::forwards, 1).events[0].id);
    EXPECT_NE(link.id, page.events[0].id);
    EXPECT_EQ(data_of(read("$et-A").events), (texts{"0@cat-1", "0@dog-1", "1@cat-2"}));
    EXPECT_EQ(data_of(read("$et-A", 1, direction::backwards).events),
              (texts{"0@dog-1", "0@cat-1"}));
    const auto some = read("$et-A", 0, direction::forwards, 2);
    EXPECT_TRUE(some.events.size() == 2 && !some.end);
    EXPECT_EQ(last_of("$et-A"), base::revision{2});
    EXPECT_EQ(info("$et-A").last, base::revision{2});
    EXPECT_TRUE(read("$ce-nobody").events.empty());
    // A stream's first event may be a link: the stream counts.
    EXPECT_EQ(data_of(read("$category-cat").events), (texts{"cat-1", "cat-2"}));
    const auto streams = data_of(read("$streams", 100, direction::backwards, 3).events);
    EXPECT_EQ(streams, (texts{"0@cat-2", "0@$cat-x", "0@dog-1"}));
    EXPECT_EQ(read_all().events.size(), 6u); // no view stands in the log
}

TEST_P(event_store_scenarios, events_of_one_correlation_are_a_view) {
    using namespace scenario_detail;
    new_event mine = make_event(1);
    mine.metadata = R"({"$correlationId":"c-7"})";
    append("a-1", expected::any(), {make_event(2), mine}).value();
    mine.id = make_event(3).id;
    append("b-1", expected::any(), {mine}).value();
    EXPECT_EQ(data_of(read("$bc-c-7").events), (texts{"1@a-1", "0@b-1"}));
}

TEST_P(event_store_scenarios, views_are_not_written) {
    for (const char* view :
         {"$ce-cat", "$et-A", "$bc-1", "$streams", "$category-cat", "$$$ce-cat", "$$$streams"}) {
        expect_refused(append(view, expected::any(), make_events(1, 1)),
                       base::errc::invalid_argument, "system_view");
    }
    expect_refused(remove("$ce-cat"), base::errc::invalid_argument, "system_view");
    expect_refused(tombstone("$ce-cat"), base::errc::invalid_argument, "system_view");
    // These only look like one.
    expect_written(append("$et", expected::any(), make_events(2, 1)), 0);
    expect_written(append("$ce-", expected::any(), make_events(3, 1)), 0);
}

TEST_P(event_store_scenarios, a_view_is_subscribed_to_like_a_stream) {
    using namespace scenario_detail;
    append("cat-1", expected::any(), make_events(1, 2)).value();
    const auto cats = store().subscribe_stream("$ce-cat", base::revision{0});
    EXPECT_EQ(data_of(next(*cats)->events), (texts{"1@cat-1"}));
    append("dog-1", expected::any(), make_events(3, 1)).value();
    append("cat-2", expected::any(), make_events(4, 1)).value();
    EXPECT_EQ(data_of(next(*cats)->events), (texts{"0@cat-2"}));
}

TEST_P(event_store_scenarios, links_are_followed) {
    using namespace scenario_detail;
    append("s-1", expected::any(), make_events(1, 4)).value();
    append("gone-1", expected::any(), make_events(10, 1)).value();
    append("dead-1", expected::any(), make_events(11, 1)).value();
    append("links", expected::any(),
           {make_link(20, "1@s-1"), make_link(21, "2@s-1"), make_link(22, "3@s-1"),
            make_link(23, "0@s-1"), make_link(24, "9@s-1"), make_link(25, "0@gone-1"),
            make_link(26, "0@dead-1"), make_link(27, "nonsense"), make_link(28, "0@nobody@x"),
            make_event(29, "Plain")})
        .value();
    remove("gone-1").value();
    tombstone("dead-1").value();
    set_metadata("s-1", R"({"$tb":1})").value();
    const auto resolved = resolve(read("links").events);
    ASSERT_EQ(resolved.size(), 10u);
    for (std::size_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(resolved[i].event && resolved[i].link);
        EXPECT_EQ(resolved[i].event->revision.value, i + 1);
        EXPECT_EQ(resolved[i].event->stream, "s-1");
        EXPECT_EQ(resolved[i].link->revision.value, i);
    }
    for (const std::size_t i : {3u, 4u, 5u, 6u, 8u}) {
        EXPECT_FALSE(resolved[i].event) << i;
        EXPECT_TRUE(resolved[i].link) << i;
    }
    EXPECT_EQ(resolved[7].event->data, "nonsense");
    EXPECT_FALSE(resolved[7].link);
    EXPECT_EQ(resolved[9].event->type, "Plain");
    EXPECT_FALSE(resolved[9].link);
}

TEST_P(event_store_scenarios, links_of_views_lead_to_what_is_shown) {
    append("cat-1", expected::any(), make_events(1, 3)).value();
    append("cat-2", expected::any(), make_events(4, 1)).value();
    append("cat-3", expected::any(), make_events(5, 1)).value();
    set_metadata("cat-1", R"({"$maxCount":2})").value();
    remove("cat-2").value();
    const auto resolved = resolve(read("$ce-cat").events);
    ASSERT_EQ(resolved.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(resolved[i].event.has_value(), i != 0 && i != 3) << i;
        ASSERT_TRUE(resolved[i].link);
        EXPECT_EQ(resolved[i].link->revision.value, i);
    }
    EXPECT_EQ(resolved[4].event->stream, "cat-3");
    EXPECT_EQ(resolved[4].event->position, resolved[4].link->position);
}

TEST_P(event_store_scenarios, filters_take_prefixes_and_expressions_of_both_names) {
    append("player-1", expected::any(), {make_event(1, "Came"), make_event(2, "Left")}).value();
    append("guild-1", expected::any(), {make_event(3, "Came")}).value();
    // Ours lets no client write there.
    (void)append("$persistentsubscription-$all::g-parked", expected::any(), {make_event(4)});
    const auto count = [this](all_filter filter) {
        return read_all(0, direction::forwards, 1000, std::move(filter)).events.size();
    };
    EXPECT_EQ(count({}), 3u); // a server keeps some streams to itself
    EXPECT_EQ(count({.type_prefixes = {"Ca"}}), 2u);
    EXPECT_EQ(count({.type_expression = "^(Came|Went)$"}), 2u);
    EXPECT_EQ(count({.type_expression = "^[^$].*"}), 3u);
    EXPECT_EQ(count({.stream_expression = "er-"}), 2u);
    EXPECT_EQ(count({.stream_expression = "ER-"}), 0u);
    EXPECT_EQ(count({.type_prefixes = {"Ca"}, .stream_expression = "^player"}), 1u);
    const all_filter bad{.stream_expression = "("};
    const auto page = engine_.run(store().read_all({0}, direction::forwards, 10, bad));
    ASSERT_FALSE(page);
    EXPECT_EQ(page.error().code, base::errc::invalid_argument);
    const auto all = store().subscribe_all(std::nullopt, bad);
    EXPECT_EQ(next(*all).error().code, base::errc::invalid_argument);
}

TEST_P(event_store_scenarios, a_subscription_counts_what_it_looked_at) {
    append("noise", expected::any(), make_events(1, 10)).value();
    append("player-1", expected::any(), make_events(20, 1)).value();
    append("noise", expected::any(), make_events(30, 10)).value();
    const auto players = store().subscribe_all(before_, {{"player-"}});
    std::size_t considered = 0;
    std::size_t events = 0;
    std::vector<std::size_t> counts;
    for (bool caught_up = false; !caught_up;) {
        const auto batch = engine_.run(players->next(100, 4));
        ASSERT_TRUE(batch);
        EXPECT_LE(batch->considered, 4u);
        counts.push_back(batch->considered);
        considered += batch->considered;
        events += batch->events.size();
        caught_up = batch->caught_up;
    }
    EXPECT_EQ(considered, 21u);
    EXPECT_EQ(events, 1u);
    EXPECT_EQ(counts[0], 4u);
    EXPECT_EQ(counts[1], 4u);
    // Live: nothing matches, and yet it says how far it looked.
    const auto written = append("noise", expected::any(), make_events(50, 4));
    const auto batch = engine_.run(players->next(100, 4));
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->events.empty());
    EXPECT_EQ(batch->considered, 4u);
    EXPECT_EQ(batch->processed, written->position);
}

} // namespace immortal::eventstore
