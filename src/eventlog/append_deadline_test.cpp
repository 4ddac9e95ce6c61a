// What happens to appends while a sync does not come back.
#include "eventlog/log_fixture.hpp"
#include "eventlog/stalling_file_system.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <stdexcept>
#include <thread>

namespace immortal::eventlog {
namespace {

using base::errc;
using expected = expected_revision;
using std::chrono::seconds;

class append_deadline_test : public log_fixture, public testing::WithParamInterface<bool> {
protected:
    static constexpr std::size_t event_bytes = 1000;
    static constexpr std::size_t queue_bytes = 64u << 10u;

    void SetUp() override {
        settings.segment_size = 1u << 20u;
        settings.queue_bytes_max = queue_bytes;
        settings.group_appends_max = 8;
        // With and without the helper thread.
        settings.overlap_bytes_min = GetParam() ? 1 : settings.overlap_bytes_min;
        open_ = log::open(settings, slow, clock, random, nullptr).value();
        ASSERT_TRUE(append("s-0", expected::any(), events_of(1'000'000, 1)));
    }
    void TearDown() override {
        slow.release();
        open_.reset();
        EXPECT_EQ(charged.load(), 0u);
    }

    struct sent {
        std::uint64_t number = 0;
        std::atomic<int> answers{0};
        bool seen = false; // by await()
        base::result<append_outcome> outcome = base::fail(errc::internal, "no answer");
        std::promise<void> answered;
    };

    static std::string stream_of(std::uint64_t number) { return "s-" + std::to_string(number); }
    static std::vector<stream_write> write_of(std::uint64_t number) {
        return to_stream(stream_of(number), expected::no_stream(), {event_of(number, event_bytes)});
    }
    // Takes its bytes out of a budget as a server does.
    sent& send(std::uint64_t number, std::chrono::milliseconds limit = seconds(10)) {
        sent& one = *all.emplace_back(std::make_unique<sent>());
        one.number = number;
        charged += event_bytes;
        charged_most = std::max(charged_most, charged.load());
        append_terms terms;
        terms.limit = limit;
        terms.charge = std::shared_ptr<void>(&one, [this](void*) { charged -= event_bytes; });
        open_->append(
            write_of(number),
            [&one](base::result<append_outcome> outcome) {
                if (++one.answers == 1) {
                    one.outcome = std::move(outcome);
                    one.answered.set_value();
                }
            },
            std::move(terms));
        return one;
    }
    static const base::result<append_outcome>& await(sent& one) {
        if (!std::exchange(one.seen, true) &&
            one.answered.get_future().wait_for(std::chrono::minutes(1)) !=
                std::future_status::ready) {
            throw std::runtime_error("an append had no answer for a minute"); // ends the test
        }
        return one.outcome;
    }
    void await_all() {
        for (const auto& one : all) {
            await(*one);
        }
    }
    bool is_there(std::uint64_t number) {
        return open_->stream_head(stream_of(number)).value().has_value();
    }

    stalling_file_system slow{disk};
    std::atomic<std::size_t> charged{0};
    std::size_t charged_most = 0;
    std::vector<std::unique_ptr<sent>> all;
};

TEST_P(append_deadline_test, a_stalled_sync_holds_neither_callers_nor_memory) {
    slow.stall();
    send(1);
    slow.await_stalled();
    const std::size_t group_bytes = 2 * (settings.group_appends_max + 1) * event_bytes;
    std::uint64_t number = 2;
    for (int round = 0; round < 6; ++round) { // a minute of load
        for (int i = 0; i < 200; ++i) {
            send(number++);
        }
        clock.advance(seconds(10));
        await_all();
        // What waited has given its bytes back, what was begun has not.
        EXPECT_GT(charged.load(), 0u);
        EXPECT_LE(charged.load(), group_bytes);
    }
    EXPECT_LE(charged_most, queue_bytes + group_bytes);
    std::map<std::string, std::size_t> reasons;
    for (const auto& one : all) {
        ASSERT_FALSE(one->outcome);
        const base::error& error = one->outcome.error();
        ++reasons[error.reason + (error.code == errc::unknown_outcome ? "?" : "")];
        if (error.reason == "deadline") {
            EXPECT_GT(error.retry_after_ms, 0u);
            EXPECT_TRUE(error.code == errc::unavailable || error.code == errc::unknown_outcome);
        }
    }
    EXPECT_GE(reasons["deadline?"], 1u);
    EXPECT_GT(reasons["deadline"], 6u * 10u);
    EXPECT_GT(reasons["queue_full"], 0u);
    EXPECT_EQ(reasons["deadline?"] + reasons["deadline"] + reasons["queue_full"], all.size());

    slow.release();
    for (const auto& one : all) {
        const bool unknown = one->outcome.error().code == errc::unknown_outcome;
        const auto again = append(write_of(one->number));
        ASSERT_TRUE(again) << again.error().message;
        EXPECT_EQ(again->repeated, unknown); // what was withdrawn was not there
        EXPECT_EQ(stream(stream_of(one->number)).size(), 1u);
        EXPECT_EQ(one->answers, 1);
    }
    EXPECT_EQ(charged.load(), 0u);
}

TEST_P(append_deadline_test, the_queue_goes_on_when_the_sync_comes_back_in_time) {
    slow.stall();
    slow.stall_space();
    const std::size_t groups = slow.space_questions();
    sent& first = send(1);
    slow.await_space_questions(groups + 1); // the writer has taken the first alone
    sent& second = send(2);
    sent& short_one = send(3, seconds(1));
    slow.release_space();
    slow.await_stalled();
    if (GetParam()) {
        slow.await_space_questions(groups + 2); // it goes on while the helper waits for the disk
    }
    clock.advance(seconds(5));
    ASSERT_FALSE(await(short_one));
    const bool begun = short_one.outcome.error().code == errc::unknown_outcome;
    EXPECT_EQ(begun, GetParam());
    slow.release();
    EXPECT_TRUE(await(first));
    EXPECT_TRUE(await(second));
    open_->close();
    EXPECT_EQ(is_there(3), begun);
}

TEST_P(append_deadline_test, a_log_that_closes_while_a_sync_is_stalled_answers_everyone) {
    slow.stall();
    sent& first = send(1);
    slow.await_stalled();
    sent& second = send(2);
    std::thread closing([this] { open_->close(); });
    clock.advance(seconds(11));
    EXPECT_EQ(await(first).error().code, errc::unknown_outcome);
    EXPECT_FALSE(await(second));
    slow.release();
    closing.join();
    EXPECT_EQ(first.answers + second.answers, 2);
}

TEST_P(append_deadline_test, no_time_at_all_is_refused_at_once) {
    EXPECT_EQ(await(send(1, seconds(0))).error().reason, "deadline");
    EXPECT_EQ(await(send(2, seconds(-1))).error().code, errc::unavailable);
    EXPECT_TRUE(await(send(3, std::chrono::milliseconds::max())));
    EXPECT_FALSE(is_there(1) || is_there(2));
}

// The deadline passes at any moment between push and answer.
TEST_P(append_deadline_test, each_append_has_one_answer_and_it_is_true) {
    std::atomic<bool> done{false};
    std::thread time([&] {
        while (!done) {
            clock.advance(std::chrono::milliseconds(1));
            std::this_thread::yield();
        }
    });
    for (std::uint64_t number = 1; number <= 600; ++number) {
        send(number, std::chrono::milliseconds(1 + number % 64));
        if (number % 16 == 0) {
            await_all();
        }
    }
    await_all();
    done = true;
    time.join();
    ASSERT_TRUE(append("last", expected::any(), events_of(2'000'000, 1)));
    for (const auto& one : all) {
        EXPECT_EQ(one->answers, 1);
        if (one->outcome) {
            EXPECT_TRUE(is_there(one->number));
        } else if (one->outcome.error().code == errc::unavailable) {
            EXPECT_FALSE(is_there(one->number));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(commit, append_deadline_test, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                             return info.param ? "overlapping" : "waiting";
                         });

} // namespace
} // namespace immortal::eventlog
