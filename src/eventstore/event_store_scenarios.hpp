// The suite of scenarios that every adapter of the event-store port passes. A test program includes
// this once and instantiates it with its adapters:
//
//   INSTANTIATE_TEST_SUITE_P(memory, event_store_scenarios, testing::Values(...));
#pragma once

#include "base/random.hpp"
#include "eventstore/event_store.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace immortal::eventstore {

// Keeps an adapter and what it stands on.
class scenario_store {
public:
    virtual ~scenario_store() = default;
    virtual event_store& store() = 0;
};

struct scenario_adapter {
    std::string name;
    std::function<std::unique_ptr<scenario_store>()> make;
};

inline new_event make_event(std::uint64_t number, std::string type = "Happened",
                            std::size_t padding = 0) {
    base::uuid id;
    for (std::size_t i = 0; i < 8; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    id.bytes[0] = 1;
    return {id, std::move(type),
            R"({"number":)" + std::to_string(number) + R"(,"pad":")" + std::string(padding, 'x') +
                "\"}",
            R"({"actor":"test"})", eventlog::content::json};
}

inline std::vector<new_event> make_events(std::uint64_t first, std::size_t count) {
    std::vector<new_event> events;
    for (std::size_t i = 0; i < count; ++i) {
        events.push_back(make_event(first + i));
    }
    return events;
}

class event_store_scenarios : public testing::TestWithParam<scenario_adapter> {
protected:
    void SetUp() override {
        engine_.start();
        holder_ = GetParam().make();
    }
    void TearDown() override {
        engine_.stop();
        holder_.reset();
    }

    event_store& store() { return holder_->store(); }

    base::result<append_outcome> append(std::vector<stream_write> writes) {
        return engine_.run(store().append(std::move(writes)));
    }
    base::result<append_outcome> append(std::string stream, expected_revision expected,
                                        std::vector<new_event> events) {
        std::vector<stream_write> writes;
        writes.push_back({std::move(stream), expected, std::move(events)});
        return append(std::move(writes));
    }
    stream_page read(std::string stream, std::uint64_t from = 0,
                     direction way = direction::forwards, std::size_t count = 1000) {
        auto page = engine_.run(store().read_stream(std::move(stream), {from}, way, count));
        EXPECT_TRUE(page) << page.error().message;
        return page.value_or(stream_page{});
    }
    all_page read_all(std::uint64_t from = 0, direction way = direction::forwards,
                      std::size_t count = 1000, all_filter filter = {}) {
        auto page = engine_.run(store().read_all({from}, way, count, std::move(filter)));
        EXPECT_TRUE(page) << page.error().message;
        return page.value_or(all_page{});
    }
    std::optional<base::revision> last_of(std::string stream) {
        return engine_.run(store().stream_head(std::move(stream))).value();
    }
    base::result<subscription::batch> next(subscription& from, std::size_t count = 100) {
        return engine_.run(from.next(count));
    }

    static void expect_written(const base::result<append_outcome>& outcome, std::uint64_t last) {
        ASSERT_TRUE(outcome) << outcome.error().message;
        EXPECT_FALSE(outcome->repeated);
        ASSERT_EQ(outcome->last_revisions.size(), 1u);
        EXPECT_EQ(outcome->last_revisions[0], base::revision{last});
    }
    static void expect_repeated(const base::result<append_outcome>& outcome,
                                const base::result<append_outcome>& first) {
        ASSERT_TRUE(outcome) << outcome.error().message;
        EXPECT_TRUE(outcome->repeated);
        EXPECT_EQ(outcome->position, first->position);
        EXPECT_EQ(outcome->last_revisions, first->last_revisions);
    }
    static void expect_conflict(const base::result<append_outcome>& outcome,
                                const std::string& stream = "s-1") {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code, base::errc::conflict) << outcome.error().message;
        EXPECT_EQ(outcome.error().field, stream);
    }
    static std::vector<std::uint64_t> revisions_of(const std::vector<recorded_event>& events) {
        std::vector<std::uint64_t> out;
        for (const auto& event : events) {
            out.push_back(event.revision.value);
        }
        return out;
    }

    runtime::engine engine_;
    std::unique_ptr<scenario_store> holder_;
};

using expected = expected_revision;
using numbers = std::vector<std::uint64_t>;

TEST_P(event_store_scenarios, an_empty_store_has_no_head_and_empty_pages) {
    EXPECT_FALSE(store().head());
    EXPECT_FALSE(store().identity().id.is_nil());
    EXPECT_EQ(store().state(), write_state::writable);
    const stream_page page = read("s-1");
    EXPECT_TRUE(page.events.empty() && page.end && !page.last);
    EXPECT_TRUE(read_all().end);
    EXPECT_TRUE(read_all(~0ull >> 1u, direction::backwards).end);
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
    EXPECT_FALSE(store().head());
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
    ASSERT_EQ(backwards.size(), 60u);
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
        EXPECT_EQ(read_all(at, direction::backwards).events.size(), i);
        EXPECT_EQ(read_all(at + 1, direction::backwards).events.size(), i + 1);
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

TEST_P(event_store_scenarios, a_subscription_catches_up_and_goes_on_live) {
    append("s-1", expected::any(), make_events(1, 3)).value();
    const auto all = store().subscribe_all(std::nullopt);
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
    const auto all = store().subscribe_all(std::nullopt);
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
    const auto players = store().subscribe_all(std::nullopt, {{"player-"}, false});
    auto batch = next(*players);
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->events.size(), 2u);
    if (!batch->caught_up) {
        batch = next(*players);
    }
    EXPECT_EQ(batch->processed, store().head());
}

TEST_P(event_store_scenarios, a_cancelled_subscription_ends) {
    const auto all = store().subscribe_all(std::nullopt);
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
