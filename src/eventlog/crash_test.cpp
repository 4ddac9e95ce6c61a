// Crashes and failing calls at every step, in a file system that loses what was not synced.
#include "base/patience_testing.hpp"
#include "eventlog/log_fixture.hpp"

#include <cstdlib>
#include <deque>
#include <future>
#include <map>
#include <thread>

namespace immortal::eventlog {
namespace {

using expected = expected_revision;
using base::cut_policy;
using base::errc;
using base::file_error;
using base::memory_file_system;

struct acked {
    base::position position;
    std::string stream;
    base::revision last;
};

class crash_test : public log_fixture {
protected:
    // Some appends of different kinds, one after another, until one fails. What was acknowledged is
    // kept in `acked_`.
    void workload(std::uint64_t appends, std::uint64_t first = 0) {
        for (std::uint64_t i = first; i < first + appends; ++i) {
            const std::string own = "s-" + std::to_string(i % 3);
            std::vector<stream_write> writes;
            writes.push_back(
                {own, expected::any(), events_of(i * 10 + 1, 1 + i % 3, (i % 4) * 300)});
            if (i % 2 == 0) {
                writes.push_back({"shared-1", expected::any(), events_of(i * 10 + 5, 1)});
            }
            ++started_;
            const auto outcome = append(std::move(writes));
            if (!outcome) {
                return;
            }
            acked_.push_back({outcome->position, own, *outcome->last_revisions[0]});
        }
    }

    // The promises after any crash. Empty: they hold.
    std::string violation() {
        if (const auto opened = try_open(); !opened) {
            return "the log does not open: " + opened.error().message;
        }
        std::map<std::string, std::uint64_t> next;
        std::map<std::uint64_t, const recorded_event*> at;
        const auto events = everything();
        for (std::size_t i = 0; i < events.size(); ++i) {
            const recorded_event& event = events[i];
            if (event.revision.value != next[event.stream]++) {
                return "a revision is missing or doubled";
            }
            at[event.position.value] = &event;
        }
        if (!events.empty() && !events.back().last_in_batch) {
            return "half an append is left";
        }
        std::size_t batches = 0;
        for (const recorded_event& event : events) {
            batches += event.last_in_batch ? 1 : 0;
        }
        if (batches > started_) {
            return "more appends than were made";
        }
        for (const acked& each : acked_) {
            if (!at.contains(each.position.value)) {
                return "an acknowledged append is lost";
            }
            if (next[each.stream] <= each.last.value) {
                return "an acknowledged revision is lost";
            }
        }
        const auto more = append("after-1", expected::no_stream(), events_of(1'000'000, 2));
        return more ? std::string() : "no append after the restart: " + more.error().message;
    }

    // The same kinds of appends, `depth` of them under way at any time, so that groups are prepared
    // while others are made durable.
    void overlapping_workload(std::uint64_t appends, std::size_t depth) {
        struct under_way {
            std::future<base::result<append_outcome>> answer;
            std::string stream;
        };
        std::deque<under_way> waiting;
        const auto take_one = [&] {
            auto outcome = waiting.front().answer.get();
            if (outcome) {
                acked_.push_back(
                    {outcome->position, waiting.front().stream, *outcome->last_revisions[0]});
            }
            waiting.pop_front();
        };
        for (std::uint64_t i = 0; i < appends; ++i) {
            const std::string own = "s-" + std::to_string(i % 3);
            ++started_;
            waiting.push_back(
                {start_append(*open_, to_stream(own, expected::any(),
                                                events_of(i * 10 + 1, 1 + i % 3, (i % 4) * 300))),
                 own});
            if (waiting.size() == depth) {
                take_one();
            }
        }
        while (!waiting.empty()) {
            take_one();
        }
    }

    void reset(std::uint64_t seed) {
        open_.reset();
        disk = memory_file_system(seed);
        acked_.clear();
        started_ = 0;
    }

    std::vector<acked> acked_;
    std::size_t started_ = 0;
};

TEST_F(crash_test, power_cuts_at_every_step_lose_nothing_that_was_acknowledged) {
    const bool longer = std::getenv("IMMORTAL_LONG") != nullptr;
    const std::uint64_t seeds = longer ? 200 : 3;
    std::uint64_t states = 0;
    for (const cut_policy policy : {cut_policy::drop_all, cut_policy::keep_all,
                                    cut_policy::keep_random, cut_policy::tear_last}) {
        for (std::uint64_t seed = 1; seed <= (policy == cut_policy::drop_all ? 1 : seeds); ++seed) {
            for (std::uint64_t step = 1;; ++step, ++states) {
                reset(seed * 1000 + step);
                disk.lose_power_at(step);
                if (try_open()) {
                    workload(14);
                }
                open_.reset();
                const bool cut = disk.lost_power();
                disk.restart(policy);
                ASSERT_EQ(violation(), "") << "policy " << static_cast<int>(policy) << " seed "
                                           << seed << " step " << step;
                if (!cut) {
                    break;
                }
            }
        }
    }
    RecordProperty("states", static_cast<int>(states));
}

TEST_F(crash_test, a_second_power_cut_during_recovery_is_survived) {
    for (std::uint64_t step = 40; step <= 60; ++step) {
        for (std::uint64_t second = 1;; ++second) {
            reset(step * 100 + second);
            disk.lose_power_at(step);
            if (try_open()) {
                workload(14);
            }
            open_.reset();
            disk.restart(cut_policy::tear_last);
            disk.lose_power_at(disk.steps() + second);
            static_cast<void>(try_open());
            open_.reset();
            const bool cut = disk.lost_power();
            disk.restart(cut_policy::keep_random);
            ASSERT_EQ(violation(), "") << "steps " << step << " and " << second;
            if (!cut) {
                break;
            }
        }
    }
}

TEST_F(crash_test, groups_prepared_while_others_fail_are_undone) {
    const bool longer = std::getenv("IMMORTAL_LONG") != nullptr;
    settings.overlap_bytes_min = 1;
    settings.group_appends_max = 2;
    for (const auto kind : {file_error::kind::io, file_error::kind::no_space}) {
        for (const bool sticky : {false, true}) {
            for (std::uint64_t step = 5; step < 70; step += longer ? 1 : 2) {
                reset(step);
                disk.fail_at(step, kind, sticky);
                if (try_open()) {
                    overlapping_workload(30, 1 + step % 7);
                }
                if (open_ != nullptr && !sticky && open_->state() != log_state::failed) {
                    // It goes on, with what readers see and what the writer knows being one.
                    EXPECT_TRUE(append("s-0", expected::any(), events_of(9000, 1)));
                    ++started_;
                    const auto seen = stream("s-0");
                    EXPECT_EQ(open_->stream_head("s-0").value()->value + 1, seen.size());
                }
                open_.reset();
                disk.restart(step % 2 == 0 ? cut_policy::drop_all : cut_policy::keep_random);
                ASSERT_EQ(violation(), "") << "step " << step << " sticky " << sticky;
            }
        }
    }
    for (std::uint64_t step = 5; step < 90; step += longer ? 1 : 3) {
        reset(step);
        disk.lose_power_at(step);
        if (try_open()) {
            overlapping_workload(30, 1 + step % 7);
        }
        open_.reset();
        disk.restart(step % 2 == 0 ? cut_policy::drop_all : cut_policy::tear_last);
        ASSERT_EQ(violation(), "") << "power cut at step " << step;
    }
}

// The harness itself: a disk that does not sync must be caught losing events.
TEST_F(crash_test, negative_control_without_syncs_events_are_lost) {
    reset(5);
    reopen();
    workload(3);
    disk.ignore_syncs(true);
    workload(8);
    ASSERT_EQ(acked_.size(), 11u);
    open_.reset();
    disk.restart(cut_policy::drop_all);
    EXPECT_EQ(violation(), "an acknowledged append is lost");
}

TEST_F(crash_test, any_single_failing_call_leaves_a_log_that_keeps_its_promises) {
    for (const auto kind : {file_error::kind::io, file_error::kind::no_space}) {
        for (const bool sticky : {false, true}) {
            for (std::uint64_t step = 1;; ++step) {
                reset(step);
                disk.fail_at(step, kind, sticky);
                if (try_open()) {
                    workload(14);
                }
                const bool reached = disk.steps() >= step;
                open_.reset();
                disk.restart(step % 2 == 0 ? cut_policy::drop_all : cut_policy::keep_random);
                ASSERT_EQ(violation(), "") << "step " << step << " sticky " << sticky;
                if (!reached) {
                    break;
                }
            }
        }
    }
}

// What a failed sync left in memory looks written to the next start, and a second sync of it does
// nothing.
TEST_F(crash_test, a_failing_call_a_new_start_and_then_a_power_cut_lose_nothing) {
    for (const auto kind : {file_error::kind::io, file_error::kind::no_space}) {
        for (std::uint64_t step = 1;; ++step) {
            reset(step);
            disk.fail_at(step, kind, false);
            if (try_open()) {
                workload(14);
            }
            open_.reset();
            if (disk.steps() < step) {
                break;
            }
            ASSERT_TRUE(try_open()) << "step " << step;
            workload(6, 100);
            open_.reset();
            disk.restart(step % 3 == 0 ? cut_policy::keep_random : cut_policy::drop_all);
            ASSERT_EQ(violation(), "") << "step " << step;
        }
    }
}

TEST_F(crash_test, after_a_failed_sync_reads_go_on_and_nothing_is_written) {
    reopen();
    ASSERT_TRUE(append("s-1", expected::any(), events_of(1, 2)));
    const auto head = open_->head().end;
    disk.fail_all(memory_file_system::step_kind::sync);
    const auto unknown = append("s-1", expected::any(), events_of(3, 1));
    EXPECT_EQ(unknown.error().code, errc::unknown_outcome);
    EXPECT_EQ(open_->state(), log_state::failed);
    disk.fail_all(std::nullopt);
    const std::uint64_t steps = disk.steps();
    for (const auto& wish : {expected::any(), expected::at({1}), expected::no_stream()}) {
        EXPECT_EQ(append("s-1", wish, events_of(3, 1)).error().code, errc::unavailable);
    }
    EXPECT_EQ(disk.steps(), steps);
    EXPECT_EQ(open_->head().end, head);
    EXPECT_EQ(stream("s-1").size(), 2u);
    EXPECT_EQ(everything().size(), 2u);
    EXPECT_EQ(open_->stream_head("s-1").value(), base::revision{1});
    reopen();
    EXPECT_EQ(open_->state(), log_state::writable);
    EXPECT_TRUE(append("s-1", expected::any(), events_of(3, 1)));
    EXPECT_EQ(stream("s-1").size(), 3u);
}

TEST_F(crash_test, a_read_error_is_that_reads_matter) {
    reopen();
    ASSERT_TRUE(append("s-1", expected::any(), events_of(1, 2)));
    disk.fail_reads(true);
    const auto one = open_->read_stream("s-1", {0}, direction::forwards, 10);
    const auto all = open_->read_all({0}, direction::forwards, 10);
    ASSERT_FALSE(one);
    ASSERT_FALSE(all);
    EXPECT_EQ(one.error().code, errc::unavailable);
    EXPECT_EQ(one.error().reason, "io_error");
    EXPECT_EQ(all.error().reason, "io_error");
    // Health and what needs no read go on. What must look at stored events is refused, not guessed.
    EXPECT_EQ(open_->state(), log_state::writable);
    EXPECT_EQ(open_->stream_head("s-1").value(), base::revision{1});
    EXPECT_TRUE(append("s-2", expected::no_stream(), events_of(5, 1)));
    const auto repeated = append("s-1", expected::no_stream(), events_of(1, 2));
    EXPECT_TRUE(repeated || repeated.error().code == errc::unavailable);
    disk.fail_reads(false);
    EXPECT_EQ(stream("s-1").size(), 2u);
    EXPECT_EQ(stream("s-2").size(), 1u);
    EXPECT_TRUE(append("s-1", expected::at({1}), events_of(7, 1)));
    open_.reset();
    // A start that cannot read does not start, and changes nothing.
    disk.fail_reads(true);
    EXPECT_EQ(try_open().error().code, errc::unavailable);
    disk.fail_reads(false);
    reopen();
    EXPECT_EQ(stream("s-1").size(), 3u);
}

TEST_F(crash_test, below_the_floor_writes_wait_for_space) {
    settings.free_space_min = 1u << 20u;
    reopen();
    const auto first = append("s-1", expected::any(), events_of(1, 1));
    disk.set_free_space(1000);
    const auto refused = append("s-1", expected::any(), events_of(2, 1));
    EXPECT_EQ(refused.error().code, errc::exhausted);
    EXPECT_EQ(refused.error().reason, "disk_full");
    EXPECT_EQ(open_->state(), log_state::disk_full);
    EXPECT_EQ(stream("s-1").size(), 1u);
    // What is decided without writing is still answered.
    EXPECT_TRUE(append("s-1", expected::any(), events_of(1, 1))->repeated);
    EXPECT_EQ(append("s-1", expected::at({7}), events_of(2, 1)).error().code, errc::conflict);
    disk.set_free_space(1u << 30u);
    EXPECT_TRUE(base::comes_true([&] { return open_->state() != log_state::disk_full; }))
        << "it leaves that state by itself";
    EXPECT_TRUE(append("s-1", expected::any(), events_of(2, 1)));
    EXPECT_EQ(stream("s-1").size(), 2u);
}

TEST_F(crash_test, a_log_without_appends_says_whether_the_disk_is_full) {
    settings.free_space_min = 1u << 20u;
    disk.set_free_space(1000);
    reopen();
    EXPECT_EQ(open_->state(), log_state::disk_full) << "from the beginning";
    for (int round = 0; round < 2; ++round) {
        for (const auto& [space, wanted] :
             {std::pair(1u << 30u, log_state::writable), std::pair(1000u, log_state::disk_full)}) {
            disk.set_free_space(space);
            EXPECT_TRUE(base::comes_true([&] { return open_->state() == wanted; }))
                << "nobody asks, nothing is written";
        }
    }
}

TEST_F(crash_test, a_write_that_runs_into_the_full_disk_is_taken_back) {
    reopen();
    ASSERT_TRUE(append("s-1", expected::any(), events_of(1, 2)));
    const auto size = disk.contents(segment_path(0)).size();
    disk.fail_all(memory_file_system::step_kind::write, file_error::kind::no_space);
    const auto refused = append({{"s-1", expected::at({1}), events_of(3, 2)},
                                 {"t-1", expected::no_stream(), events_of(5, 1)}});
    EXPECT_EQ(refused.error().code, errc::exhausted);
    EXPECT_EQ(disk.contents(segment_path(0)).size(), size);
    disk.fail_all(std::nullopt);
    EXPECT_TRUE(append("s-1", expected::at({1}), events_of(3, 1)));
    EXPECT_TRUE(append("t-1", expected::no_stream(), events_of(5, 1)));
    reopen();
    EXPECT_EQ(everything().size(), 4u);
}

} // namespace
} // namespace immortal::eventlog
