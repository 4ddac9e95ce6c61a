#include "esdb/persistent_group.hpp"
#include "esdb/source_event_testing.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace immortal::esdb {
namespace {

using namespace std::chrono_literals;

class persistent_group_test : public testing::Test {
protected:
    void make(group_settings settings, std::optional<std::uint64_t> after = std::nullopt) {
        group_ = std::make_unique<persistent_group>(settings, after, now_);
    }
    void take(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t i = first; i < first + count; ++i) {
            group_->take(i, make_source_event(i));
        }
    }
    // Places, by consumer.
    std::map<consumer_id, std::vector<std::uint64_t>> push() {
        std::map<consumer_id, std::vector<std::uint64_t>> out;
        for (delivery& one : group_->push(now_)) {
            out[one.to].push_back(one.message.place);
            held_[one.message.place] = one.message;
        }
        return out;
    }
    void ack(consumer_id from, std::uint64_t place) { group_->ack(from, held_.at(place).id, now_); }
    void nack(consumer_id from, std::uint64_t place, nack_action action) {
        group_->nack(from, held_.at(place).id, action, "because", now_);
    }
    using places = std::vector<std::uint64_t>;

    base::steady_time now_{1h};
    std::unique_ptr<persistent_group> group_;
    std::map<std::uint64_t, group_message> held_;
};

TEST_F(persistent_group_test, a_consumer_holds_no_more_than_its_slots) {
    make({});
    take(0, 10);
    const consumer_id one = group_->connect(3);
    EXPECT_EQ(push()[one], (places{0, 1, 2}));
    EXPECT_TRUE(push().empty());
    ack(one, 1);
    EXPECT_EQ(push()[one], (places{3}));
    EXPECT_EQ(group_->in_flight(), 3u);
    EXPECT_EQ(group_->waiting_new(), 6u);
}

TEST_F(persistent_group_test, round_robin_takes_turns_and_leaves_out_who_is_full) {
    make({});
    const consumer_id one = group_->connect(2);
    const consumer_id two = group_->connect(5);
    take(0, 6);
    auto got = push();
    EXPECT_EQ(got[one], (places{0, 2}));
    EXPECT_EQ(got[two], (places{1, 3, 4, 5}));
}

TEST_F(persistent_group_test, dispatch_to_single_fills_the_first) {
    make({.strategy = consumer_strategy::dispatch_to_single});
    const consumer_id one = group_->connect(4);
    const consumer_id two = group_->connect(4);
    take(0, 6);
    auto got = push();
    EXPECT_EQ(got[one], (places{0, 1, 2, 3}));
    EXPECT_EQ(got[two], (places{4, 5}));
}

TEST_F(persistent_group_test, pinned_keeps_a_stream_with_one_consumer) {
    make({.strategy = consumer_strategy::pinned});
    const consumer_id one = group_->connect(100);
    const consumer_id two = group_->connect(100);
    for (std::uint64_t i = 0; i < 60; ++i) {
        group_->take(i, make_source_event(i, "s-" + std::to_string(i % 20)));
    }
    auto got = push();
    EXPECT_GT(got[one].size(), 0u);
    EXPECT_GT(got[two].size(), 0u);
    EXPECT_EQ(got[one].size() + got[two].size(), 60u);
    std::set<std::uint64_t> streams;
    for (const std::uint64_t place : got[one]) {
        streams.insert(place % 20);
    }
    EXPECT_TRUE(std::ranges::none_of(
        got[two], [&](std::uint64_t place) { return streams.contains(place % 20); }));
}

TEST_F(persistent_group_test, pinned_lets_others_overtake_a_full_consumer) {
    make({.strategy = consumer_strategy::pinned});
    const consumer_id one = group_->connect(1);
    const consumer_id two = group_->connect(1);
    for (std::uint64_t i = 0; i < 40; ++i) {
        group_->take(i, make_source_event(i, "s-" + std::to_string(i)));
    }
    auto got = push();
    EXPECT_EQ(got[one].size(), 1u);
    EXPECT_EQ(got[two].size(), 1u);
}

TEST_F(persistent_group_test, buckets_follow_correlation_and_the_target_of_a_link) {
    const auto by = consumer_strategy::pinned_by_correlation;
    const auto a = make_source_event(1, "s-1", R"({"$correlationId":"x"})");
    const auto b = make_source_event(2, "s-2", R"({"$correlationId":"x"})");
    EXPECT_EQ(bucket_of(a, by), bucket_of(b, by));
    EXPECT_NE(bucket_of(a, consumer_strategy::pinned), bucket_of(b, consumer_strategy::pinned));
    auto link = make_source_event(0, "$ce-s");
    link.event->type = "$>";
    link.event->data = "7@s-2";
    EXPECT_EQ(bucket_of(link, consumer_strategy::pinned), bucket_of(b, consumer_strategy::pinned));
    EXPECT_EQ(bucket_of(a, consumer_strategy::round_robin), 0u);
}

TEST_F(persistent_group_test, an_unanswered_message_comes_again_and_is_parked_in_the_end) {
    make({.message_timeout = 10s, .max_retry_count = 2});
    const consumer_id one = group_->connect(5);
    take(0, 1);
    for (std::int32_t attempt = 0; attempt <= 2; ++attempt) {
        EXPECT_EQ(push()[one], (places{0}));
        EXPECT_EQ(held_.at(0).retry_count, attempt);
        now_ += 9s;
        group_->expire(now_);
        EXPECT_EQ(group_->in_flight(), 1u);
        now_ += 1s;
        group_->expire(now_);
        EXPECT_EQ(group_->in_flight(), 0u);
    }
    EXPECT_TRUE(push().empty());
    const auto parkings = group_->take_parkings();
    ASSERT_EQ(parkings.size(), 1u);
    EXPECT_EQ(parkings[0].reason, "Reached retry count of 2");
    EXPECT_FALSE(group_->settled().place) << "not before it is written";
    group_->unparked(parkings[0]);
    EXPECT_FALSE(group_->settled().place);
    group_->parked(group_->take_parkings().at(0).message);
    EXPECT_EQ(group_->settled().place, 0u);
}

TEST_F(persistent_group_test, without_a_time_limit_nothing_expires) {
    make({.message_timeout = 0ms});
    const consumer_id one = group_->connect(5);
    take(0, 1);
    push();
    now_ += 1000h;
    group_->expire(now_);
    EXPECT_EQ(group_->in_flight(), 1u);
    ack(one, 0);
    EXPECT_EQ(group_->in_flight(), 0u);
}

TEST_F(persistent_group_test, each_answer_does_what_it_says) {
    make({});
    const consumer_id one = group_->connect(10);
    take(0, 5);
    push();
    nack(one, 0, nack_action::skip);
    nack(one, 1, nack_action::stop);
    nack(one, 2, nack_action::park);
    nack(one, 3, nack_action::retry);
    EXPECT_EQ(group_->in_flight(), 1u);
    const auto parkings = group_->take_parkings();
    ASSERT_EQ(parkings.size(), 1u);
    EXPECT_EQ(parkings[0].reason, "Client explicitly NAK'ed message.\nbecause");
    EXPECT_EQ(group_->settled().place, 1u);
    group_->parked(parkings[0].message);
    EXPECT_EQ(group_->settled().place, 2u);
    EXPECT_EQ(push()[one], (places{3}));
    EXPECT_EQ(held_.at(3).retry_count, 1);
}

TEST_F(persistent_group_test, what_a_lost_consumer_held_goes_to_the_other_in_order) {
    make({});
    const consumer_id one = group_->connect(10);
    take(0, 4);
    push();
    const consumer_id two = group_->connect(3);
    take(4, 3);
    group_->disconnect(one);
    EXPECT_EQ(push()[two], (places{0, 1, 2}));
    EXPECT_EQ(held_.at(0).retry_count, 1);
    group_->ack(one, held_.at(0).id, now_); // too late
    EXPECT_EQ(group_->in_flight(), 3u);
    ack(two, 0);
    ack(two, 1);
    EXPECT_EQ(push()[two], (places{3, 4}));
}

TEST_F(persistent_group_test, the_checkpoint_stands_before_the_first_unsettled) {
    make({.min_checkpoint_count = 3, .max_checkpoint_count = 5}, 9);
    const consumer_id one = group_->connect(100);
    take(10, 20);
    push();
    for (std::uint64_t place = 11; place < 20; ++place) {
        ack(one, place);
    }
    EXPECT_EQ(group_->settled().place, 9u);
    EXPECT_FALSE(group_->checkpoint_due(now_ + 1h));
    ack(one, 10);
    ASSERT_TRUE(group_->checkpoint_due(now_));
    EXPECT_EQ(group_->checkpoint_due(now_)->place, 19u);
    group_->checkpoint_written(*group_->checkpoint_due(now_), now_);
    for (std::uint64_t place = 20; place < 23; ++place) {
        EXPECT_FALSE(group_->checkpoint_due(now_ + 2s));
        ack(one, place);
    }
    EXPECT_FALSE(group_->checkpoint_due(now_ + 1s));
    EXPECT_EQ(group_->checkpoint_due(now_ + 2s)->place, 22u);
    EXPECT_EQ(group_->final_checkpoint()->place, 22u);
}

TEST_F(persistent_group_test, skipped_events_move_the_checkpoint) {
    make({.min_checkpoint_count = 1});
    const consumer_id one = group_->connect(10);
    group_->skip(5, 5);
    EXPECT_FALSE(group_->checkpoint_due(now_ + 1h)) << "a checkpoint is skipped by others";
    take(6, 1);
    group_->skip(5000, 4000);
    EXPECT_EQ(group_->settled().place, 5u);
    push();
    ack(one, 6);
    EXPECT_EQ(group_->checkpoint_due(now_)->place, 5000u);
}

TEST_F(persistent_group_test, room_shrinks_with_what_waits) {
    make({.read_batch_size = 20, .history_buffer_size = 50});
    EXPECT_EQ(group_->room(), 50u);
    take(0, 29);
    EXPECT_EQ(group_->room(), 21u);
    take(29, 1);
    EXPECT_EQ(group_->room(), 0u);
    const consumer_id one = group_->connect(10);
    push();
    EXPECT_EQ(group_->room(), 30u);
    for (std::uint64_t place = 0; place < 10; ++place) {
        nack(one, place, nack_action::park);
    }
    EXPECT_EQ(group_->room(), 0u) << "what is to be parked counts";
}

TEST_F(persistent_group_test, large_events_stop_the_reading_before_the_count_does) {
    make({});
    auto event = make_source_event(0);
    event.event->data.resize(persistent_group::bytes_held_max);
    group_->take(0, event);
    EXPECT_EQ(group_->room(), 0u);
    const consumer_id one = group_->connect(1);
    push();
    EXPECT_EQ(group_->room(), 0u);
    ack(one, 0);
    EXPECT_GT(group_->room(), 0u);
}

TEST_F(persistent_group_test, replayed_messages_come_after_retries_and_keep_the_floor) {
    make({});
    const consumer_id one = group_->connect(2);
    take(10, 4);
    push();
    EXPECT_FALSE(group_->parked_floor());
    group_->replay(3, 1, make_source_event(1));
    group_->replay(4, 2, make_source_event(2));
    group_->replayed_to(5);
    EXPECT_EQ(group_->parked_floor(), 3u);
    nack(one, 10, nack_action::retry);
    EXPECT_EQ(push()[one], (places{10}));
    ack(one, 10);
    ack(one, 11);
    EXPECT_EQ(push()[one], (places{1, 2}));
    EXPECT_EQ(held_.at(1).retry_count, 0);
    ack(one, 2);
    EXPECT_EQ(group_->parked_floor(), 3u);
    nack(one, 1, nack_action::park);
    EXPECT_EQ(group_->parked_floor(), 3u);
    group_->parked(group_->take_parkings().at(0).message);
    EXPECT_EQ(group_->parked_floor(), 5u);
    EXPECT_EQ(group_->settled().place, 11u) << "replays do not touch the checkpoint";
}

TEST_F(persistent_group_test, two_messages_with_one_id_go_one_after_the_other) {
    make({});
    const consumer_id one = group_->connect(10);
    group_->take(0, make_source_event(7));
    group_->take(1, make_source_event(7));
    EXPECT_EQ(push()[one], (places{0}));
    ack(one, 0);
    EXPECT_EQ(push()[one], (places{1}));
    EXPECT_EQ(group_->settled().place, 0u);
}

TEST_F(persistent_group_test, under_pinning_an_id_that_is_out_holds_up_its_lane_alone) {
    make({.strategy = consumer_strategy::pinned});
    const consumer_id one = group_->connect(10);
    group_->take(0, make_source_event(7, "s-1"));
    group_->take(1, make_source_event(7, "s-2"));
    group_->take(2, make_source_event(8, "s-2"));
    group_->take(3, make_source_event(9, "s-3"));
    EXPECT_EQ(push()[one], (places{0, 3}));
    ack(one, 0);
    EXPECT_EQ(push()[one], (places{1, 2}));
}

// What push() looks at for one answer, with so many messages that nobody can take.
class answer_cost : public persistent_group_test {
protected:
    static constexpr std::uint64_t waiting = 20'000;
    static constexpr std::uint64_t answers = 200;

    std::uint64_t looks_per_answer(consumer_id from) {
        std::vector<std::uint64_t> mine = push()[from];
        const std::uint64_t before = group_->looks();
        for (std::uint64_t i = 0; i < answers; ++i) {
            EXPECT_FALSE(mine.empty());
            ack(from, mine.back());
            mine.pop_back();
            const auto more = push()[from];
            mine.insert(mine.end(), more.begin(), more.end());
        }
        return (group_->looks() - before) / answers;
    }
};

TEST_F(answer_cost, does_not_grow_with_what_waits_for_a_full_consumer) {
    make({.strategy = consumer_strategy::pinned});
    const consumer_id full = group_->connect(1);
    const consumer_id busy = group_->connect(5);
    for (std::uint64_t i = 0; i < waiting; ++i) {
        group_->take(i, make_source_event(i, "s-" + std::to_string(i % 300)));
    }
    EXPECT_LE(looks_per_answer(busy), 3u);
    EXPECT_EQ(group_->consumers().held(full), 1u);
}

TEST_F(answer_cost, does_not_grow_with_messages_of_one_id) {
    make({.strategy = consumer_strategy::pinned});
    const consumer_id one = group_->connect(5);
    group_->take(0, make_source_event(1, "s-0"));
    for (std::uint64_t i = 1; i < waiting; ++i) { // in every lane one that waits for the first
        group_->take(i, make_source_event(i < 300 ? 1 : i, "s-" + std::to_string(i % 300)));
    }
    (void)push();
    for (std::uint64_t i = waiting; i < 2 * waiting; ++i) {
        group_->take(i, make_source_event(i, "t-" + std::to_string(i % 300)));
    }
    const std::uint64_t before = group_->looks();
    std::vector<std::uint64_t> mine = push()[one];
    for (const auto& [place, message] : held_) {
        if (place != 0) {
            mine.push_back(place);
        }
    }
    for (std::uint64_t i = 0; i < answers; ++i) {
        ASSERT_FALSE(mine.empty());
        ack(one, mine.back());
        mine.pop_back();
        const auto more = push()[one];
        mine.insert(mine.end(), more.begin(), more.end());
    }
    EXPECT_LE((group_->looks() - before) / answers, 3u);
}

TEST_F(answer_cost, is_one_look_without_pinning) {
    for (const auto strategy :
         {consumer_strategy::round_robin, consumer_strategy::dispatch_to_single}) {
        make({.strategy = strategy});
        held_.clear();
        for (int i = 0; i < 50; ++i) {
            (void)group_->connect(1);
        }
        const consumer_id last = group_->connect(5);
        take(0, waiting);
        EXPECT_LE(looks_per_answer(last), 2u);
    }
}

TEST_F(persistent_group_test, the_number_of_consumers_is_limited) {
    make({.max_subscriber_count = 2});
    const consumer_id one = group_->connect(1);
    EXPECT_FALSE(group_->full());
    (void)group_->connect(1);
    EXPECT_TRUE(group_->full());
    group_->disconnect(one);
    EXPECT_FALSE(group_->full());
}

TEST(latency_window_test, tells_of_the_last_answers) {
    latency_window window;
    EXPECT_EQ(window.measurements().size(), 14u);
    for (int i = 0; i < 5000; ++i) {
        window.observe(std::chrono::milliseconds(i));
    }
    const auto all = window.measurements();
    const std::map<std::string, std::int64_t> by_name(all.begin(), all.end());
    EXPECT_EQ(by_name.at("Fastest"), 4000);
    EXPECT_EQ(by_name.at("Highest"), 4999);
    EXPECT_EQ(by_name.at("Median"), 4499);
    EXPECT_EQ(by_name.at("99.9%"), 4998);
    EXPECT_EQ(by_name.at("Mean"), 4499);
}

TEST(group_settings_test, what_cannot_work_is_refused) {
    EXPECT_TRUE(check({}));
    EXPECT_FALSE(check({.read_batch_size = 500, .history_buffer_size = 500}));
    EXPECT_FALSE(check({.max_retry_count = -1}));
    EXPECT_FALSE(check({.history_buffer_size = group_buffer_max + 1}));
    EXPECT_EQ(strategy_named("PinnedByCorrelation"), consumer_strategy::pinned_by_correlation);
    EXPECT_FALSE(strategy_named("pinned"));
}

} // namespace
} // namespace immortal::esdb
