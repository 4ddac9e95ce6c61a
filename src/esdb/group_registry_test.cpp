#include "esdb/group_registry_fixture.hpp"

namespace immortal::esdb {
namespace {

TEST_P(group_registry_test, history_then_live_events_each_once) {
    write("s-1", 60);
    ASSERT_TRUE(create(define("s-1")));
    const auto one = connect("s-1", 7);
    for (std::uint64_t i = 0; i < 60; ++i) {
        const auto got = take(*one, 1);
        ASSERT_EQ(revisions(got), (numbers{i}));
        ack(*one, got, "s-1");
    }
    write("s-1", 3);
    EXPECT_EQ(revisions(take(*one, 3)), (numbers{60, 61, 62}));
    eventually([&] { return runner("s-1")->status().state == "Live"; }, "live");
}

TEST_P(group_registry_test, all_with_a_filter_and_without_its_own_bookkeeping) {
    write("player-1", 5);
    write("guild-1", 5);
    group_definition filtered =
        define("$all", {.min_checkpoint_count = 1, .max_checkpoint_count = 1});
    filtered.filter = {.stream_prefixes = {"player-"}};
    ASSERT_TRUE(create(filtered));
    const auto one = connect("$all", 3);
    auto got = take(*one, 3);
    EXPECT_EQ(revisions(got), (numbers{0, 1, 2}));
    ack(*one, got, "$all");
    got = take(*one, 2);
    ack(*one, got, "$all");
    write("player-1", 1);
    EXPECT_EQ(revisions(take(*one, 1)), (numbers{5}));
    const std::string stream = checkpoint_stream("$all::g");
    eventually([&] { return !read(stream).events.empty(); }, "a checkpoint");
    EXPECT_TRUE(read(stream).events.back().data.starts_with("\"C:"));
    // Unfiltered: everything but the checkpoints.
    group_definition everything = define("$all");
    everything.group = "all";
    ASSERT_TRUE(create(everything));
    auto all = registry_->find("$all::all").value()->connect(1000, {}).value();
    for (const auto& message : take(*all, 11)) {
        EXPECT_FALSE(message.original().stream.starts_with("$persistentsubscription-"));
    }
}

TEST_P(group_registry_test, the_checkpoint_survives_a_restart_and_what_follows_comes_again) {
    write("s-1", 30);
    ASSERT_TRUE(create(define("s-1", {.max_checkpoint_count = 5})));
    auto one = connect("s-1", 30);
    auto got = take(*one, 30);
    got.resize(12);
    ack(*one, got, "s-1");
    reopen();
    one = connect("s-1", 30);
    EXPECT_EQ(revisions(take(*one, 1)), (numbers{12})) << "an orderly end writes a checkpoint";
}

TEST_P(group_registry_test, a_kill_between_checkpoints_repeats_but_never_loses) {
    write("s-1", 30);
    ASSERT_TRUE(create(define("s-1", {.max_checkpoint_count = 5})));
    auto one = connect("s-1", 30);
    auto got = take(*one, 30);
    got.resize(13);
    ack(*one, got, "s-1");
    const std::string stream = checkpoint_stream("s-1::g");
    eventually([&] { return !read(stream).events.empty(); }, "a checkpoint");
    // What another process would find now: this one is still there, but writes nothing more.
    group_registry other({store(), clock_, random_}, engine_.executor());
    ASSERT_TRUE(engine_.run(other.start()));
    auto again = other.find("s-1::g").value()->connect(30, {}).value();
    const auto repeated = revisions(take(*again, 17));
    EXPECT_LE(repeated.front(), 13u);
    EXPECT_GE(repeated.front(), 5u);
    engine_.run(other.stop());
}

TEST_P(group_registry_test, checkpoints_by_time_on_the_clock) {
    write("s-1", 4);
    ASSERT_TRUE(create(define("s-1", {.checkpoint_after = 2'000ms, .min_checkpoint_count = 2})));
    const auto one = connect("s-1");
    ack(*one, take(*one, 4), "s-1");
    EXPECT_FALSE(runner("s-1")->status().checkpoint);
    clock_.advance(2s);
    runner("s-1")->look();
    eventually([&] { return runner("s-1")->status().checkpoint == 3u; }, "the checkpoint");
    EXPECT_EQ(read(checkpoint_stream("s-1::g")).events.back().data, "\"3\"");
    EXPECT_EQ(read("$$" + checkpoint_stream("s-1::g")).events.size(), 1u);
}

TEST_P(group_registry_test, a_message_nobody_answers_is_parked_after_its_retries) {
    write("s-1", 1);
    ASSERT_TRUE(create(define("s-1", {.message_timeout = 5'000ms, .max_retry_count = 1})));
    const auto one = connect("s-1");
    EXPECT_EQ(take(*one, 1)[0].retry_count, 0);
    clock_.advance(5s);
    runner("s-1")->look();
    EXPECT_EQ(take(*one, 1)[0].retry_count, 1);
    clock_.advance(5s);
    runner("s-1")->look();
    eventually([&] { return runner("s-1")->status().parked == 1; }, "the parked message");
    const auto parked = read(parked_stream("s-1::g")).events;
    ASSERT_EQ(parked.size(), 1u);
    EXPECT_EQ(parked[0].type, "$>");
    EXPECT_EQ(parked[0].data, "0@s-1");
    EXPECT_NE(parked[0].metadata.find("Reached retry count of 1"), std::string::npos);
    EXPECT_NE(parked[0].metadata.find("\"subscriptionEventNumber\":0"), std::string::npos);
}

TEST_P(group_registry_test, parked_messages_are_replayed_and_then_gone) {
    write("s-1", 5);
    ASSERT_TRUE(create(define("s-1")));
    const auto one = connect("s-1");
    for (const auto& message : take(*one, 5)) {
        nack(*one, message, nack_action::park, "s-1");
    }
    eventually([&] { return runner("s-1")->status().parked == 5; }, "five parked");
    runner("s-1")->replay(2);
    auto got = take(*one, 2);
    EXPECT_EQ(revisions(got), (numbers{0, 1}));
    EXPECT_EQ(got[0].retry_count, 0);
    EXPECT_EQ(runner("s-1")->status().parked, 5u) << "not before they are answered";
    ack(*one, got, "s-1");
    eventually([&] { return runner("s-1")->status().parked == 3; }, "three parked");
    eventually([&] { return !runner("s-1")->status().state.ends_with("Messages"); }, "the end");
    EXPECT_EQ(
        eventlog::metadata_of(read("$$" + parked_stream("s-1::g")).events.back()).truncate_before,
        2u);
    runner("s-1")->replay(std::nullopt);
    got = take(*one, 3);
    EXPECT_EQ(revisions(got), (numbers{2, 3, 4}));
    ack(*one, {got[0], got[1]}, "s-1");
    nack(*one, got[2], nack_action::park, "s-1");
    eventually([&] { return runner("s-1")->status().parked == 1; }, "one parked again");
    reopen();
    EXPECT_EQ(runner("s-1")->status().parked, 1u);
    const auto later = connect("s-1");
    runner("s-1")->replay(std::nullopt);
    EXPECT_EQ(revisions(take(*later, 1)), (numbers{4}));
}

TEST_P(group_registry_test, what_was_replayed_and_not_answered_is_still_parked_after_a_kill) {
    write("s-1", 1);
    ASSERT_TRUE(create(define("s-1")));
    auto one = connect("s-1");
    nack(*one, take(*one, 1)[0], nack_action::park, "s-1");
    eventually([&] { return runner("s-1")->status().parked == 1; }, "the parked message");
    runner("s-1")->replay(std::nullopt);
    (void)take(*one, 1);
    reopen();
    EXPECT_EQ(runner("s-1")->status().parked, 1u);
}

TEST_P(group_registry_test, the_other_consumer_gets_what_a_lost_one_held) {
    write("s-1", 20);
    ASSERT_TRUE(create(define("s-1")));
    const auto lost = connect("s-1", 10);
    (void)take(*lost, 10);
    const auto other = connect("s-1", 20);
    auto got = take(*other, 10);
    runner("s-1")->disconnect(*lost);
    const auto again = take(*other, 10);
    EXPECT_EQ(again.front().retry_count, 1);
    got.insert(got.end(), again.begin(), again.end());
    numbers all = revisions(got);
    std::ranges::sort(all);
    EXPECT_EQ(all.size(), 20u);
    EXPECT_EQ(std::ranges::unique(all).size(), 0u);
}

TEST_P(group_registry_test, update_drops_and_goes_on_after_the_checkpoint) {
    write("s-1", 4);
    ASSERT_TRUE(create(define("s-1")));
    const auto one = connect("s-1");
    auto got = take(*one, 4);
    got.resize(2);
    ack(*one, got, "s-1");
    group_definition changed = define("s-1", {.max_retry_count = 77});
    ASSERT_TRUE(engine_.run(registry_->update(changed, "tester")));
    EXPECT_EQ(one->dropped(), drop_reason::dropped);
    EXPECT_EQ(runner("s-1")->definition().settings.max_retry_count, 77);
    const auto next = connect("s-1");
    EXPECT_EQ(revisions(take(*next, 2)), (numbers{2, 3}));
    reopen();
    EXPECT_EQ(runner("s-1")->definition().settings.max_retry_count, 77);
}

TEST_P(group_registry_test, delete_drops_and_forgets) {
    write("s-1", 4);
    ASSERT_TRUE(create(define("s-1", {.max_checkpoint_count = 1})));
    const auto one = connect("s-1");
    auto got = take(*one, 4);
    nack(*one, got[0], nack_action::park, "s-1");
    ack(*one, got, "s-1");
    eventually([&] { return runner("s-1")->status().checkpoint == 3u; }, "the checkpoint");
    ASSERT_TRUE(engine_.run(registry_->remove("s-1::g", "tester")));
    EXPECT_EQ(one->dropped(), drop_reason::deleted);
    EXPECT_EQ(registry_->find("s-1::g").error().code, errc::not_found);
    EXPECT_TRUE(read(checkpoint_stream("s-1::g")).events.empty());
    EXPECT_TRUE(read(parked_stream("s-1::g")).events.empty());
    ASSERT_TRUE(create(define("s-1")));
    EXPECT_EQ(runner("s-1")->status().parked, 0u);
    const auto fresh = connect("s-1");
    EXPECT_EQ(revisions(take(*fresh, 4)), (numbers{0, 1, 2, 3}));
}

TEST_P(group_registry_test, a_tombstoned_source_drops_its_consumers) {
    write("s-1", 2);
    ASSERT_TRUE(create(define("s-1")));
    const auto one = connect("s-1");
    (void)take(*one, 2);
    std::vector<eventstore::stream_write> writes;
    writes.push_back(
        {"s-1", expected_revision::any(), {}, eventstore::stream_write::action::tombstone});
    ASSERT_TRUE(engine_.run(store().append(std::move(writes))));
    engine_.run(runtime::with_deadline(ended(*one), 60s)).value();
    EXPECT_EQ(one->dropped(), drop_reason::dropped);
    EXPECT_EQ(runner("s-1")->connect(1, {}).error().code, errc::deleted);
}

TEST_P(group_registry_test, from_the_end_misses_nothing_written_after_it_was_made) {
    write("s-1", 3);
    group_definition of_stream = define("s-1");
    of_stream.start.what = group_start::kind::end;
    group_definition of_nothing = define("s-2");
    of_nothing.start.what = group_start::kind::end;
    group_definition of_all = define("$all");
    of_all.start.what = group_start::kind::end;
    of_all.filter = {.stream_prefixes = {"s-1"}};
    for (const auto& one : {of_stream, of_nothing, of_all}) {
        ASSERT_TRUE(create(one));
    }
    write("s-1", 1);
    write("s-2", 1);
    reopen();
    EXPECT_EQ(revisions(take(*connect("s-1"), 1)), (numbers{3}));
    EXPECT_EQ(revisions(take(*connect("s-2"), 1)), (numbers{0}));
    EXPECT_EQ(revisions(take(*connect("$all"), 1)), (numbers{3}));
}

TEST_P(group_registry_test, from_a_revision) {
    write("s-1", 5);
    group_definition middle = define("s-1");
    middle.start = {group_start::kind::place, 3};
    ASSERT_TRUE(create(middle));
    EXPECT_EQ(revisions(take(*connect("s-1"), 2)), (numbers{3, 4}));
}

TEST_P(group_registry_test, what_is_refused) {
    const auto code = [](const base::status& done) {
        return done ? errc::internal : done.error().code;
    };
    EXPECT_EQ(code(create(define("s-1", {.read_batch_size = 9, .history_buffer_size = 9}))),
              errc::invalid_argument);
    group_definition broken = define("$all");
    broken.filter = {.type_expression = "("};
    EXPECT_EQ(code(create(broken)), errc::invalid_argument);
    group_definition beyond = define("$all");
    beyond.start = {group_start::kind::place, 1u << 30};
    EXPECT_EQ(code(create(beyond)), errc::invalid_argument);
    ASSERT_TRUE(create(define("s-1", {.max_subscriber_count = 1})));
    EXPECT_EQ(code(create(define("s-1"))), errc::already_exists);
    EXPECT_EQ(code(engine_.run(registry_->update(define("s-2"), "me"))), errc::not_found);
    EXPECT_EQ(code(engine_.run(registry_->remove("s-2::g", "me"))), errc::not_found);
    const auto one = connect("s-1");
    EXPECT_EQ(runner("s-1")->connect(1, {}).error().code, errc::exhausted);
    // Someone else writes the list.
    write(group_config_stream, 1, group_config_type);
    EXPECT_EQ(code(create(define("s-3"))), errc::conflict);
}

TEST_P(group_registry_test, a_restart_drops_everybody_and_comes_back) {
    write("s-1", 2);
    ASSERT_TRUE(create(define("s-1")));
    const auto one = connect("s-1");
    (void)take(*one, 2);
    ASSERT_TRUE(engine_.run(registry_->restart()));
    EXPECT_EQ(one->dropped(), drop_reason::dropped);
    EXPECT_EQ(revisions(take(*connect("s-1"), 2)), (numbers{0, 1}));
}

INSTANTIATE_TEST_SUITE_P(stores, group_registry_test, testing::Values(kind::memory, kind::embedded),
                         kind_name);

} // namespace
} // namespace immortal::esdb
