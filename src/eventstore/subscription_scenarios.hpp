// Scenarios of the event-store port: subscriptions, and concurrent writers. Included by
// event_store_scenarios.hpp.
#pragma once

#include "eventstore/scenario_fixture.hpp"

namespace immortal::eventstore {

TEST_P(event_store_scenarios, a_subscription_catches_up_and_goes_on_live) {
    append("s-1", expected::any(), make_events(1, 3)).value();
    const auto all = store().subscribe_all(before_);
    auto batch = next(*all);
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->events.size(), 3u);
    EXPECT_TRUE(batch->caught_up);
    EXPECT_EQ(batch->processed, store().head());
    const auto outcome = append("s-1", expected::any(), make_events(4, 2));
    batch = next(*all);
    ASSERT_TRUE(batch);
    EXPECT_EQ(revisions_of(batch->events), (numbers{3, 4}));
    EXPECT_EQ(batch->processed, outcome->position);
    const auto later = store().subscribe_all(outcome->position);
    batch = next(*later);
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->events.empty() && batch->caught_up);
    EXPECT_EQ(batch->processed, outcome->position);
}

TEST_P(event_store_scenarios, an_empty_subscription_says_once_that_it_caught_up) {
    const auto one = store().subscribe_stream("s-1", std::nullopt);
    auto batch = next(*one);
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->events.empty() && batch->caught_up);
    append("s-2", expected::any(), make_events(1, 1)).value();
    append("s-1", expected::any(), make_events(2, 2)).value();
    batch = next(*one);
    ASSERT_TRUE(batch);
    EXPECT_EQ(revisions_of(batch->events), (numbers{0, 1}));
    const auto rest = store().subscribe_stream("s-1", base::revision{0});
    EXPECT_EQ(revisions_of(next(*rest)->events), (numbers{1}));
}

TEST_P(event_store_scenarios, a_subscription_delivers_whole_batches) {
    for (std::uint64_t i = 0; i < 4; ++i) {
        append({{"a-1", expected::any(), make_events(i * 10 + 1, 2)},
                {"b-1", expected::any(), make_events(i * 10 + 3, 1)}})
            .value();
    }
    const auto all = store().subscribe_all(before_);
    EXPECT_EQ(next(*all, 4)->events.size(), 3u);
    EXPECT_EQ(next(*all, 7)->events.size(), 6u);
    EXPECT_EQ(next(*all, 2)->events.size(), 2u); // this batch exceeds count_max
    EXPECT_EQ(next(*all, 2)->events.size(), 1u);
    const auto one = store().subscribe_stream("a-1", std::nullopt);
    EXPECT_EQ(next(*one, 3)->events.size(), 2u);
    EXPECT_EQ(next(*one, 5)->events.size(), 4u);
}

TEST_P(event_store_scenarios, a_filtered_subscription_reports_how_far_it_looked) {
    append("player-1", expected::any(), make_events(1, 2)).value();
    append("guild-1", expected::any(), make_events(3, 2)).value();
    const auto players = store().subscribe_all(before_, {{"player-"}, false});
    auto batch = next(*players);
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->events.size(), 2u);
    if (!batch->caught_up) {
        batch = next(*players);
    }
    EXPECT_EQ(batch->processed, store().head());
}

TEST_P(event_store_scenarios, a_cancelled_subscription_ends) {
    const auto all = store().subscribe_all(before_);
    EXPECT_TRUE(next(*all)->caught_up);
    auto pending =
        boost::asio::co_spawn(engine_.executor(), all->next(10), boost::asio::use_future);
    all->cancel();
    EXPECT_EQ(pending.get().error().code, base::errc::cancelled);
    EXPECT_EQ(next(*all).error().code, base::errc::cancelled);
}

namespace scenario_detail {

// Writes `appends` appends of one to three events to streams that several writers share.
inline awaitable<void> write_some(event_store& store, std::uint64_t writer, std::size_t appends) {
    for (std::size_t i = 0; i < appends; ++i) {
        const std::uint64_t first = (writer * 10'000 + i) * 4 + 1;
        std::vector<stream_write> writes;
        writes.push_back({"live-" + std::to_string(i % 5), expected_revision::any(),
                          make_events(first, 1 + i % 3)});
        const auto outcome = co_await store.append(std::move(writes));
        EXPECT_TRUE(outcome) << outcome.error().message;
    }
}

inline awaitable<std::vector<recorded_event>> collect(subscription& from, std::size_t wanted,
                                                      std::size_t page) {
    std::vector<recorded_event> events;
    while (events.size() < wanted) {
        auto batch = co_await from.next(page);
        EXPECT_TRUE(batch) << batch.error().message;
        if (!batch) {
            break;
        }
        events.insert(events.end(), batch->events.begin(), batch->events.end());
    }
    co_return events;
}

} // namespace scenario_detail

TEST_P(event_store_scenarios, subscriptions_under_concurrent_writers_miss_and_repeat_nothing) {
    constexpr std::size_t writers = 6;
    constexpr std::size_t appends = 60;
    constexpr std::size_t total = writers * appends / 3 * (1 + 2 + 3);
    append("live-0", expected::any(), make_events(1'000'000'000, 1)).value();
    const auto all = store().subscribe_all(store().head());
    const auto slow = store().subscribe_all(store().head());
    auto seen =
        boost::asio::co_spawn(boost::asio::make_strand(engine_.executor()),
                              scenario_detail::collect(*all, total, 64), boost::asio::use_future);
    auto seen_slowly =
        boost::asio::co_spawn(boost::asio::make_strand(engine_.executor()),
                              scenario_detail::collect(*slow, total, 1), boost::asio::use_future);
    std::vector<std::future<void>> done;
    for (std::size_t writer = 0; writer < writers; ++writer) {
        done.push_back(boost::asio::co_spawn(boost::asio::make_strand(engine_.executor()),
                                             scenario_detail::write_some(store(), writer, appends),
                                             boost::asio::use_future));
    }
    for (auto& writer : done) {
        writer.get();
    }
    for (const auto& events : {seen.get(), seen_slowly.get()}) {
        ASSERT_EQ(events.size(), total);
        std::map<std::string, std::uint64_t> next_revision{{"live-0", 1}};
        std::uint64_t position = 0;
        for (const recorded_event& event : events) {
            EXPECT_EQ(event.revision.value, next_revision[event.stream]++);
            EXPECT_GT(event.position.value, position);
            position = event.position.value;
        }
    }
}

TEST_P(event_store_scenarios, of_concurrent_appends_at_one_revision_one_succeeds) {
    for (std::uint64_t round = 0; round < 20; ++round) {
        std::vector<std::future<base::result<append_outcome>>> rivals;
        for (std::uint64_t rival = 0; rival < 8; ++rival) {
            std::vector<stream_write> writes;
            writes.push_back({"s-1", round == 0 ? expected::no_stream() : expected::at({round - 1}),
                              make_events(1 + round * 8 + rival, 1)});
            rivals.push_back(boost::asio::co_spawn(boost::asio::make_strand(engine_.executor()),
                                                   store().append(std::move(writes)),
                                                   boost::asio::use_future));
        }
        std::size_t won = 0;
        for (auto& rival : rivals) {
            const auto outcome = rival.get();
            won += outcome ? 1 : 0;
            EXPECT_TRUE(outcome || outcome.error().code == base::errc::conflict);
        }
        EXPECT_EQ(won, 1u);
    }
    EXPECT_EQ(last_of("s-1"), base::revision{19});
}

TEST_P(event_store_scenarios, an_append_is_readable_when_it_is_answered) {
    for (std::uint64_t i = 0; i < 50; ++i) {
        const auto outcome = append("s-1", expected::any(), make_events(i + 1, 1));
        ASSERT_TRUE(outcome);
        EXPECT_EQ(last_of("s-1"), base::revision{i});
        EXPECT_EQ(read("s-1", i).events.size(), 1u);
        EXPECT_EQ(read_all(outcome->position.value).events.size(), 1u);
        EXPECT_GE(store().head(), outcome->position);
    }
}

} // namespace immortal::eventstore
