// The registry of groups where the store fails, was written by others, or holds too much.
#include "esdb/group_registry_fixture.hpp"
#include "esdb/reserved_streams.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

namespace immortal::esdb {
namespace {

class group_registry_failures_test : public group_registry_test {};

TEST_P(group_registry_failures_test,
       a_change_that_fails_anywhere_is_made_or_not_but_never_taken_back) {
    std::size_t failures = 0;
    for (const errc code : {errc::unavailable, errc::unknown_outcome}) {
        for (std::size_t step = 1;; ++step) {
            const std::string stream = std::string(name_of(code)) + std::to_string(step);
            SCOPED_TRACE(stream);
            ASSERT_TRUE(create(define(stream, {.max_retry_count = 7})));
            failing_->fail(step, code);
            const auto updated =
                engine_.run(registry_->update(define(stream, {.max_retry_count = 77}), "tester"));
            const bool failed = failing_->failed();
            failures += failed ? 1 : 0;
            failing_->fail(0);
            const int expected = updated ? 77 : 7;
            EXPECT_EQ(listed_retries(stream), expected) << "success says that it is durable";
            engine_.run(registry_->start_left_out());
            EXPECT_EQ(running_retries(stream), expected);
            ASSERT_TRUE(create(define(stream + "-other"))) << "the list is written again";
            EXPECT_EQ(listed_retries(stream), expected);
            reopen();
            EXPECT_EQ(running_retries(stream), expected);
            if (!failed) {
                break;
            }
        }
    }
    EXPECT_GE(failures, 4u);
}

TEST_P(group_registry_failures_test, a_group_made_while_the_store_fails_is_in_the_list_or_not) {
    for (std::size_t step = 1;; ++step) {
        const std::string stream = "made-" + std::to_string(step);
        SCOPED_TRACE(stream);
        failing_->fail(step);
        const auto made = create(define(stream, {.max_retry_count = 7}));
        const bool failed = failing_->failed();
        failing_->fail(0);
        EXPECT_EQ(registry_->find(stream + "::g").has_value() ||
                      registry_->find(stream + "::g").error().code == errc::unavailable,
                  made.has_value());
        engine_.run(registry_->start_left_out());
        ASSERT_TRUE(create(define(stream + "-other")));
        EXPECT_EQ(listed_retries(stream), made ? 7 : -1);
        EXPECT_EQ(running_retries(stream), made ? 7 : -1);
        EXPECT_EQ(engine_.run(registry_->remove(stream + "::g", "me")).has_value(),
                  made.has_value());
        if (!failed) {
            break;
        }
    }
}

TEST_P(group_registry_failures_test,
       a_save_of_unknown_outcome_is_looked_up_before_the_next_change) {
    ASSERT_TRUE(create(define("s-1", {.max_retry_count = 7})));
    failing_->fail(1, errc::unknown_outcome, 10); // as often as it is tried
    const auto updated =
        engine_.run(registry_->update(define("s-1", {.max_retry_count = 77}), "tester"));
    failing_->fail(0);
    EXPECT_EQ(updated.error().code, errc::unknown_outcome);
    EXPECT_EQ(listed_retries("s-1"), 77);
    ASSERT_TRUE(create(define("s-2")));
    EXPECT_EQ(running_retries("s-1"), 77);
    EXPECT_EQ(listed_retries("s-1"), 77);
}

TEST_P(group_registry_failures_test, a_list_that_is_tombstoned_goes_on_elsewhere) {
    ASSERT_TRUE(create(define("s-1")));
    plant(group_config_stream, eventstore::stream_write::action::tombstone);
    reopen();
    EXPECT_EQ(registry_->find("s-1::g").error().code, errc::not_found);
    ASSERT_TRUE(create(define("s-2", {.max_retry_count = 7})));
    reopen();
    EXPECT_EQ(running_retries("s-2"), 7);
    EXPECT_TRUE(is_reserved(std::string(group_config_stream) + "-1"));
}

TEST_P(group_registry_failures_test, a_list_that_is_hidden_is_written_anew) {
    ASSERT_TRUE(create(define("s-1")));
    plant(group_config_stream, eventstore::stream_write::action::soft_delete);
    reopen();
    EXPECT_EQ(registry_->find("s-1::g").error().code, errc::not_found);
    ASSERT_TRUE(create(define("s-2", {.max_retry_count = 7})));
    reopen();
    EXPECT_EQ(running_retries("s-2"), 7);
}

TEST_P(group_registry_failures_test, a_group_named_twice_in_the_list_runs_once) {
    const auto text = config_text({define("s-1", {.max_retry_count = 7}), define("s-1")},
                                  base::utc_time{}, "somebody");
    plant_data(group_config_stream, text);
    reopen();
    EXPECT_EQ(running_retries("s-1"), 7);
}

TEST_P(group_registry_failures_test, a_list_that_is_not_understood_is_the_one_before_it) {
    ASSERT_TRUE(create(define("s-1", {.max_retry_count = 7})));
    plant_data(group_config_stream, "{");
    reopen();
    EXPECT_EQ(running_retries("s-1"), 7);
    ASSERT_TRUE(create(define("s-2")));
    reopen();
    EXPECT_EQ(running_retries("s-1"), 7);
}

TEST_P(group_registry_failures_test, what_a_group_kept_and_cannot_be_used_counts_as_nothing) {
    write("s-1", 2);
    write("s-2", 2);
    for (const char* stream : {"s-1", "s-2"}) {
        ASSERT_TRUE(create(define(stream, {.max_checkpoint_count = 1})));
        const auto one = connect(stream);
        const auto got = take(*one, 2);
        ack(*one, {got[0]}, stream);
        nack(*one, got[1], nack_action::park, stream);
        eventually([&] { return runner(stream)->status().checkpoint == 1u; }, "the checkpoint");
    }
    close();
    plant_data(checkpoint_stream("s-1::g"), "rubbish");
    plant(checkpoint_stream("s-2::g"), eventstore::stream_write::action::tombstone);
    plant(parked_stream("s-2::g"), eventstore::stream_write::action::tombstone);
    open();
    EXPECT_EQ(revisions(take(*connect("s-1"), 2)), (numbers{0, 1}));
    EXPECT_EQ(revisions(take(*connect("s-2"), 2)), (numbers{0, 1}));
    EXPECT_EQ(runner("s-2")->status().parked, 0u);
    ASSERT_TRUE(engine_.run(registry_->remove("s-2::g", "me")));
    const auto again = create(define("s-2"));
    EXPECT_EQ(again.error().code, errc::invalid_argument);
    EXPECT_NE(again.error().message.find("another name"), std::string::npos);
}

TEST_P(group_registry_failures_test, groups_share_one_bound_and_all_go_on) {
    constexpr std::size_t event_bytes = 64u << 10;
    group_memory memory(16 * event_bytes);
    close();
    group_memory_ = &memory;
    open();
    std::vector<eventstore::new_event> events;
    for (int i = 0; i < 40; ++i) {
        events.push_back({base::uuid::make_random(random_),
                          "Happened",
                          '"' + std::string(event_bytes, 'x') + '"',
                          {}});
    }
    std::vector<eventstore::stream_write> writes;
    writes.push_back({"s-1", expected_revision::any(), std::move(events)});
    ASSERT_TRUE(engine_.run(store().append(std::move(writes))));
    constexpr int groups = 6;
    std::vector<std::shared_ptr<group_consumer>> consumers;
    std::vector<std::shared_ptr<group_runner>> runners;
    for (int i = 0; i < groups; ++i) {
        group_definition one = define("s-1", {.read_batch_size = 1});
        one.group = "g" + std::to_string(i);
        ASSERT_TRUE(create(one));
        runners.push_back(registry_->find(one.key()).value());
        consumers.push_back(runners.back()->connect(10, {}).value());
    }
    // The first half never answers; each of the others gets everything.
    for (int i = groups / 2; i < groups; ++i) {
        for (std::uint64_t number = 0; number < 40; ++number) {
            const auto got = take(*consumers[static_cast<std::size_t>(i)], 1);
            ASSERT_EQ(revisions(got), (numbers{number}));
            runners[static_cast<std::size_t>(i)]->ack(*consumers[static_cast<std::size_t>(i)],
                                                      std::span(&got[0].id, 1));
            EXPECT_LE(memory.held(), 16 * event_bytes + groups * 2 * event_bytes);
        }
    }
    runners.clear();
    close();
    EXPECT_EQ(memory.held(), 0u);
    group_memory_ = nullptr;
    open();
}

TEST_P(group_registry_failures_test, links_to_large_events_are_followed_as_there_is_room) {
    constexpr std::size_t event_bytes = 256u << 10;
    constexpr std::size_t memory_bytes =
        16 * event_bytes; // of which one group has 12 events' worth
    constexpr std::size_t bound = memory_bytes + 8 * event_bytes;
    constexpr std::size_t links = 60;
    group_memory memory(memory_bytes);
    close();
    group_memory_ = &memory;
    open();
    std::vector<eventstore::stream_write> writes(2);
    writes[0].stream = "large-1";
    writes[0].events.push_back({base::uuid::make_random(random_),
                                "Happened",
                                '"' + std::string(event_bytes, 'x') + '"',
                                {}});
    writes[1].stream = "s-1";
    for (std::size_t i = 0; i < links; ++i) {
        writes[1].events.push_back({base::uuid::make_random(random_),
                                    eventlog::link_type,
                                    "0@large-1",
                                    {},
                                    eventlog::content::binary});
    }
    ASSERT_TRUE(engine_.run(store().append(std::move(writes))));
    ASSERT_TRUE(create(define("s-1", {.resolve_links = true,
                                      .live_buffer_size = 500,
                                      .read_batch_size = 400,
                                      .history_buffer_size = 1'000})));
    const auto full = [&] { return memory.held() >= 12 * event_bytes; };
    eventually(full, "what there is room for");
    EXPECT_LE(memory.held(), bound);
    const auto one = connect("s-1", 5);
    for (std::size_t i = 0; i < links; ++i) {
        const auto got = take(*one, 1);
        ASSERT_EQ(revisions(got), numbers{i});
        ASSERT_EQ(got[0].event->event->stream, "large-1");
        nack(*one, got[0], nack_action::park, "s-1");
        EXPECT_LE(memory.held(), bound);
    }
    eventually([&] { return runner("s-1")->status().parked == links; }, "the parked ones");
    runner("s-1")->disconnect(*one);
    runner("s-1")->replay({});
    eventually(full, "parked ones");
    EXPECT_LE(memory.held(), bound);
    const auto other = connect("s-1", 5);
    for (std::size_t i = 0; i < links; ++i) {
        const auto got = take(*other, 1);
        ASSERT_EQ(got.size(), 1u);
        ack(*other, got, "s-1");
        EXPECT_LE(memory.held(), bound);
    }
    close();
    group_memory_ = nullptr;
    open();
}

// What the store takes no more within the time of a stop is given up, however many groups there
// are; what waits for it, too.
TEST_P(group_registry_failures_test, a_stop_ends_though_the_store_takes_nothing_any_more) {
    constexpr int groups = 100;
    write("s-1", 2);
    for (int i = 0; i < groups; ++i) {
        group_definition one = define("s-1");
        one.group = "g" + std::to_string(i);
        ASSERT_TRUE(create(one));
        const auto running = registry_->find(one.key()).value();
        const auto consumer = running->connect(10, {}).value();
        const auto got = take(*consumer, 2);
        running->ack(*consumer, std::span(&got[0].id, 1));
    }
    failing_->stall();
    const auto began = std::chrono::steady_clock::now();
    auto pending = boost::asio::co_spawn(
        engine_.executor(), registry_->create(define("s-2"), "tester"), boost::asio::use_future);
    registry_->end_writes(300ms);
    const auto made = pending.get();
    EXPECT_FALSE(made);
    EXPECT_EQ(registry_->find("s-2::g").has_value(), false);
    engine_.run(registry_->stop(300ms));
    // Without an end: 10 attempts for each group.
    EXPECT_LT(std::chrono::steady_clock::now() - began, 60s);
    failing_->stall(false);
}

TEST_P(group_registry_failures_test, nothing_is_known_of_a_source_before_its_first_event) {
    write("s-1", 3);
    group_definition of_stream = define("s-1");
    of_stream.start = {group_start::kind::place, 3};
    group_definition of_all = define("$all");
    of_all.start.what = group_start::kind::end;
    of_all.filter = {.stream_prefixes = {"s-1"}};
    ASSERT_TRUE(create(of_stream));
    ASSERT_TRUE(create(of_all));
    for (const char* stream : {"s-1", "$all"}) {
        eventually([&] { return runner(stream)->status().state == "Live"; }, "live");
        EXPECT_FALSE(runner(stream)->status().last_known) << stream;
    }
    write("s-1", 1);
    eventually([&] { return runner("s-1")->status().last_known == 3u; }, "the first event");
    eventually([&] { return runner("$all")->status().last_known.has_value(); }, "the first event");
}

INSTANTIATE_TEST_SUITE_P(stores, group_registry_failures_test,
                         testing::Values(kind::memory, kind::embedded), kind_name);

} // namespace
} // namespace immortal::esdb
