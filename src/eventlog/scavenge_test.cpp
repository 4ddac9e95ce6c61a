#include "eventlog/scavenge_fixture.hpp"
#include "eventlog/scavenge_rules.hpp"
#include "eventlog/scavenged_file.hpp"

#include <atomic>
#include <thread>

namespace immortal::eventlog {
namespace {

using base::cut_policy;

TEST(scavenge_rule, removes_what_is_hidden_and_never_the_last_event) {
    const base::utc_time now(std::chrono::hours(1000));
    const scavenge_facts counted{.last = {9}, .lowest = {7}, .age_max = {}, .tombstoned = false};
    EXPECT_TRUE(may_remove(counted, {6}, now, now));
    EXPECT_FALSE(may_remove(counted, {7}, now, now));
    const scavenge_facts aged{
        .last = {9}, .lowest = {0}, .age_max = std::chrono::seconds(60), .tombstoned = false};
    EXPECT_TRUE(may_remove(aged, {3}, now - std::chrono::seconds(61), now));
    EXPECT_FALSE(may_remove(aged, {3}, now - std::chrono::seconds(59), now));
    EXPECT_FALSE(may_remove(aged, {9}, now - std::chrono::hours(1), now));
    const scavenge_facts deleted{
        .last = {9}, .lowest = {truncated_for_ever}, .age_max = {}, .tombstoned = false};
    EXPECT_TRUE(may_remove(deleted, {8}, now, now));
    EXPECT_FALSE(may_remove(deleted, {9}, now, now));
    const scavenge_facts ended{
        .last = tombstone_revision, .lowest = {0}, .age_max = {}, .tombstoned = true};
    EXPECT_TRUE(may_remove(ended, {9}, now, now));
    EXPECT_FALSE(may_remove(ended, tombstone_revision, now, now));
}

class scavenging : public scavenge_fixture {};

TEST_F(scavenging, removes_what_max_count_hides_and_changes_nothing_else) {
    write("short", 20);
    write("long", 20);
    set_metadata("short", R"({"$maxCount":3})");
    write("long", 20);
    const auto before = all_events();
    const auto bytes = stored_bytes();
    const auto done = scavenge();
    EXPECT_EQ(done.state, scavenge_state::completed) << done.problem;
    EXPECT_EQ(done.events_removed, 17u);
    EXPECT_EQ(bytes - stored_bytes(), done.bytes_saved);
    EXPECT_GT(done.bytes_saved, 17u * 300);
    for (int round = 0; round < 2; ++round) { // as it runs, and after a start
        const auto after = all_events();
        EXPECT_EQ(after.size(), before.size() - 17);
        for (const auto& [at, event] : after) {
            ASSERT_TRUE(before.contains(at));
            EXPECT_EQ(event.id, before.at(at).id);
            EXPECT_EQ(event.data, before.at(at).data);
            EXPECT_EQ(event.revision, before.at(at).revision);
            EXPECT_TRUE(event.stream != "short" || event.revision.value >= 17);
        }
        EXPECT_EQ(stream("long").size(), 40u);
        EXPECT_EQ(open_->stream_head("short").value(), base::revision{19});
        expect_sound();
    }
}

TEST_F(scavenging, goes_on_numbering) {
    write("s", 30);
    set_metadata("s", R"({"$tb":9223372036854775807})");
    write("other", 12);
    EXPECT_EQ(scavenge().events_removed, 29u);
    reopen();
    set_metadata("s", R"({"$tb":30})");
    const auto next = append("s", expected_revision::at({29}), {event_of(5000)});
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_EQ(next->last_revisions.front(), base::revision{30});
}

TEST_F(scavenging, reads_backwards_over_what_is_gone) {
    write("s", 40);
    set_metadata("s", R"({"$maxCount":1})");
    write("t", 10);
    ASSERT_EQ(scavenge().events_removed, 39u);
    std::size_t seen = 0;
    for (base::position from{~0ull};;) {
        const auto slice = open_->read_all(from, direction::backwards, 7);
        ASSERT_TRUE(slice) << slice.error().message;
        seen += slice->events.size();
        from = slice->next;
        if (slice->end) {
            break;
        }
    }
    EXPECT_EQ(seen, 12u);
}

TEST_F(scavenging, changes_no_number_of_a_view) {
    for (int i = 0; i < 10; ++i) {
        write("player-1", 2);
        write("player-2", 2);
    }
    const auto numbers = [&](index_view view, const char* name) {
        std::map<std::uint64_t, std::uint64_t> out; // number to position
        for (std::uint64_t from = 0;;) {
            const auto slice = open_->read_view(view, name, from, direction::forwards, 3);
            EXPECT_TRUE(slice) << slice.error().message;
            for (const auto& entry : slice->entries) {
                out.emplace(entry.number, entry.event.position.value);
            }
            if (slice->end) {
                return out;
            }
            from = slice->next;
        }
    };
    set_metadata("player-1", R"({"$maxCount":3})");
    write("t", 10);
    const std::pair<index_view, const char*> views[] = {{index_view::category, "player"},
                                                        {index_view::type, "Happened"},
                                                        {index_view::correlation, "c1"},
                                                        {index_view::streams, ""}};
    std::vector<std::map<std::uint64_t, std::uint64_t>> before;
    for (const auto& [view, name] : views) {
        before.push_back(numbers(view, name));
    }
    EXPECT_EQ(before.front().size(), 40u);
    ASSERT_EQ(scavenge().events_removed, 17u);
    for (int round = 0; round < 2; ++round) { // with this index, and with one made anew
        for (std::size_t i = 0; i < before.size(); ++i) {
            const auto after = numbers(views[i].first, views[i].second);
            const std::size_t gone = views[i].first == index_view::streams ? 1 : 17;
            EXPECT_EQ(after.size(), before[i].size() - gone) << i;
            for (const auto& [number, position] : after) {
                EXPECT_EQ(before[i].at(number), position) << i;
            }
        }
        reopen();
    }
}

TEST_F(scavenging, leaves_a_gap_when_more_is_shown_later) {
    write("s", 40);
    set_metadata("s", R"({"$maxCount":2})");
    write("t", 10);
    ASSERT_EQ(scavenge().events_removed, 38u);
    set_metadata("s", "{}");
    std::size_t seen = 0;
    base::revision from{0};
    for (int page = 0; page < 100; ++page) {
        const auto slice = open_->read_stream("s", from, direction::forwards, 5);
        ASSERT_TRUE(slice) << slice.error().message;
        seen += slice->events.size();
        if (slice->end) {
            break;
        }
        ASSERT_FALSE(slice->events.empty()) << "a page that does not go on";
        from = {slice->events.back().revision.value + 1};
    }
    EXPECT_EQ(seen, 2u);
    const auto back = open_->read_stream("s", {100}, direction::backwards, 50);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->events.size(), 2u);
    EXPECT_TRUE(back->end);
}

TEST_F(scavenging, of_an_ended_stream_leaves_its_tombstone) {
    write("s", 30);
    std::vector<stream_write> ending;
    ending.push_back({"s", expected_revision::any(), {}, stream_write::action::tombstone});
    ASSERT_TRUE(append(std::move(ending)));
    write("t", 10);
    EXPECT_EQ(scavenge().events_removed, 30u);
    expect_sound();
    EXPECT_EQ(open_->read_stream("s", {0}, direction::forwards, 10).error().code,
              base::errc::deleted);
    EXPECT_TRUE(open_->tombstone("s")->has_value());
}

TEST_F(scavenging, removes_by_age_at_the_time_it_began) {
    write("s", 20);
    clock.advance(std::chrono::hours(1));
    write("s", 20);
    set_metadata("s", R"({"$maxAge":600})");
    EXPECT_EQ(scavenge().events_removed, 20u);
    expect_sound();
}

TEST_F(scavenging, keeps_only_the_newest_metadata) {
    for (int i = 1; i <= 40; ++i) {
        set_metadata("s", R"({"$maxCount":)" + std::to_string(i) + R"(,"x":")" +
                              std::string(200, 'x') + "\"}");
    }
    write("t", 10);
    EXPECT_EQ(scavenge().events_removed, 39u);
    EXPECT_EQ(open_->stream_head("$$s").value(), base::revision{39});
}

TEST_F(scavenging, twice_removes_what_became_hidden_since) {
    write("s", 40);
    set_metadata("s", R"({"$maxCount":20})");
    write("t", 10);
    EXPECT_EQ(scavenge().events_removed, 20u);
    EXPECT_EQ(scavenge().segments_rewritten, 0u);
    set_metadata("s", R"({"$maxCount":5})");
    EXPECT_EQ(scavenge().events_removed, 15u); // the older metadata is too small to gain anything
    expect_sound();
    EXPECT_EQ(all_events().size(), 5u + 10u + 2u);
}

TEST_F(scavenging, of_an_append_over_several_streams_removes_a_part) {
    for (std::uint64_t i = 0; i < 12; ++i) {
        std::vector<stream_write> writes;
        writes.push_back({"a", expected_revision::any(), events_of(i * 10, 2, 200)});
        writes.push_back({"b", expected_revision::any(), events_of(i * 10 + 5, 2, 200)});
        ASSERT_TRUE(append(std::move(writes)));
    }
    set_metadata("b", R"({"$maxCount":1})");
    write("c", 10);
    ASSERT_EQ(scavenge().events_removed, 23u);
    expect_sound();
    EXPECT_EQ(stream("a").size(), 24u);
}

TEST_F(scavenging, a_segment_in_which_nothing_is_gained_is_not_rewritten) {
    write("s", 60, 0); // what is left of each is as long as it was
    set_metadata("s", R"({"$maxCount":1})");
    write("t", 20);
    const auto bytes = stored_bytes();
    const auto steps = disk.steps();
    const auto done = scavenge();
    EXPECT_EQ(done.state, scavenge_state::completed);
    EXPECT_EQ(done.segments_done, done.segments_total);
    EXPECT_EQ(done.segments_rewritten, 0u);
    EXPECT_EQ(done.events_removed, 0u);
    EXPECT_EQ(done.bytes_saved, 0u);
    EXPECT_EQ(stored_bytes(), bytes);
    EXPECT_EQ(disk.steps(), steps) << "nothing was written";
    expect_sound();
}

TEST_F(scavenging, a_dry_run_says_what_is_gained_and_changes_nothing) {
    write("s", 40);
    set_metadata("s", R"({"$maxCount":10})");
    write("t", 30);
    set_metadata("t", R"({"$maxCount":25})");
    write("u", 10);
    const auto bytes = stored_bytes();
    const auto steps = disk.steps();
    const auto dry = scavenge({.threads = 2, .mode = scavenge_mode::measure});
    EXPECT_EQ(dry.state, scavenge_state::completed);
    EXPECT_EQ(dry.events_removed, 35u);
    EXPECT_EQ(disk.steps(), steps);
    EXPECT_EQ(stored_bytes(), bytes);
    std::uint64_t sum = 0;
    std::uint64_t before = ~0ull;
    for (const segment_gain& gain : dry.gains) {
        EXPECT_LE(gain.bytes(), before) << "the biggest first";
        before = gain.bytes();
        sum += gain.bytes();
    }
    EXPECT_EQ(sum, dry.bytes_saved);
    EXPECT_EQ(dry.gains.size(), dry.segments_rewritten);
    const auto done = scavenge();
    EXPECT_EQ(done.bytes_saved, dry.bytes_saved) << "as measured";
    EXPECT_EQ(done.events_removed, dry.events_removed);
    EXPECT_EQ(done.segments_rewritten, dry.segments_rewritten);
    EXPECT_EQ(stored_bytes(), bytes - dry.bytes_saved);
    EXPECT_EQ(scavenge({.mode = scavenge_mode::measure}).bytes_saved, 0u);
}

TEST_F(scavenging, one_at_a_time_and_none_after_the_close) {
    write("s", 30);
    std::promise<void> hold;
    auto held = hold.get_future().share();
    const auto id = open_->scavenges().start({}, [held](const scavenge_status&) { held.wait(); });
    ASSERT_TRUE(id);
    const auto other = open_->scavenges().start({});
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().reason, "in_progress");
    EXPECT_FALSE(open_->scavenges().stop("no-such-id"));
    EXPECT_TRUE(open_->scavenges().stop(*id));
    hold.set_value();
    open_->scavenges().wait(scavenger::wait_how::to_the_end);
    EXPECT_EQ(open_->scavenges().status().state, scavenge_state::stopped);
    open_->close();
    EXPECT_FALSE(open_->scavenges().start({}));
}

TEST_F(scavenging, leaves_the_segments_before_the_one_it_is_told) {
    write("s", 60);
    set_metadata("s", R"({"$maxCount":1})");
    write("t", 10);
    const std::string first = disk.contents(segment_path(0));
    const auto done = scavenge({.threads = 2, .from_segment = 2});
    EXPECT_EQ(done.state, scavenge_state::completed);
    EXPECT_GT(done.events_removed, 0u);
    EXPECT_EQ(disk.contents(segment_path(0)), first);
    expect_sound();
}

TEST_F(scavenging, from_a_segment_that_is_not_there_is_refused) {
    write("s", 60);
    const auto refused = open_->scavenges().start({.from_segment = 1'000});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::errc::invalid_argument);
    EXPECT_EQ(refused.error().field, "from_segment");
    EXPECT_EQ(open_->scavenges().status().state, scavenge_state::none);
}

TEST_F(scavenging, readers_and_writers_go_on_meanwhile) {
    write("s", 100);
    set_metadata("s", R"({"$maxCount":5})");
    write("t", 50);
    std::atomic<bool> stop{false};
    std::thread reading([&] {
        while (!stop) {
            std::size_t kept = 0;
            for (const recorded_event& event : everything()) {
                kept += event.stream == "t" ? 1 : 0;
            }
            EXPECT_GE(kept, 50u);
        }
    });
    for (int round = 0; round < 20; ++round) {
        write("s", 10);
        EXPECT_EQ(scavenge({.threads = 2}).state, scavenge_state::completed);
    }
    stop = true;
    reading.join();
    expect_sound();
}

TEST_F(scavenging, damage_of_a_scavenged_segment_is_found) {
    write("s", 60);
    set_metadata("s", R"({"$maxCount":1})");
    write("t", 10);
    ASSERT_GT(scavenge().segments_rewritten, 1u);
    open_.reset();
    const std::string good = disk.contents(segment_path(1));
    std::size_t unnoticed = 0;
    for (std::uint64_t offset = 0; offset < good.size(); offset += 7) {
        disk.flip_bit(segment_path(1), offset, static_cast<unsigned>(offset % 8));
        const auto found = verify(folder, disk);
        ASSERT_TRUE(found) << found.error().message;
        unnoticed += found->sound() ? 1 : 0;
        disk.set_contents(segment_path(1), good);
    }
    EXPECT_EQ(unnoticed, 0u);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{100}, good.size() / 2, good.size() - 16, good.size() - 1}) {
        disk.set_contents(segment_path(1), good.substr(0, size));
        const auto found = verify(folder, disk);
        ASSERT_TRUE(found);
        EXPECT_FALSE(found->sound()) << size;
        EXPECT_FALSE(try_open()) << size;
    }
    disk.set_contents(segment_path(1), good);
    reopen();
}

// The scavenge again and again, with the power failing before each of its steps: every segment is
// there as it was or as it will be, nothing that may be seen is missing, and another scavenge ends
// the work.
TEST_F(scavenging, a_power_cut_at_any_step_loses_nothing) {
    write("s", 30);
    set_metadata("s", R"({"$maxCount":2})");
    write("t", 12);
    const auto kept = [&] {
        std::size_t count = 0;
        for (const recorded_event& event : everything()) {
            count += event.stream == "t" || event.revision.value >= 28 || event.stream == "$$s";
        }
        return count;
    };
    const std::size_t visible = kept();
    open_.reset();
    const std::vector<std::string> names = disk.list(folder).value();
    std::map<std::string, std::string> start;
    for (const std::string& name : names) {
        start[name] = disk.contents(std::string(folder) + "/" + name);
    }
    std::uint64_t cuts = 0;
    for (const cut_policy policy : {cut_policy::drop_all, cut_policy::keep_all,
                                    cut_policy::keep_random, cut_policy::tear_last}) {
        bool cut = true;
        for (std::uint64_t step = 1; cut; ++step) {
            disk = base::memory_file_system(step);
            ASSERT_TRUE(disk.make_directory(folder));
            for (const auto& [name, bytes] : start) {
                disk.set_contents(std::string(folder) + "/" + name, bytes);
            }
            reopen();
            disk.lose_power_at(disk.steps() + step);
            (void)scavenge();
            open_.reset();
            cut = disk.lost_power();
            cuts += cut ? 1 : 0;
            disk.restart(policy);
            ASSERT_NO_FATAL_FAILURE(reopen()) << "step " << step;
            ASSERT_EQ(kept(), visible) << "step " << step;
            const auto again = scavenge();
            ASSERT_EQ(again.state, scavenge_state::completed) << again.problem;
            ASSERT_EQ(everything().size(), visible) << "step " << step;
            ASSERT_NO_FATAL_FAILURE(expect_sound()) << "step " << step;
        }
    }
    EXPECT_GT(cuts, 40u);
}

TEST_F(scavenging, a_failing_step_leaves_the_log_as_good_as_before) {
    write("s", 30);
    set_metadata("s", R"({"$maxCount":2})");
    write("t", 12);
    bool failed = true;
    for (std::uint64_t step = 1; failed; ++step) {
        set_metadata("s", R"({"$maxCount":2,"n":)" + std::to_string(step) + "}");
        write("s", 8);
        disk.fail_at(disk.steps() + step, base::file_error::kind::io, false);
        const auto done = scavenge();
        failed = done.state == scavenge_state::failed;
        EXPECT_NE(failed, done.problem.empty());
        ASSERT_EQ(stream("t").size(), 12u);
        disk.restart(cut_policy::keep_all);
        ASSERT_NO_FATAL_FAILURE(reopen());
    }
    expect_sound();
}

TEST_F(scavenging, keeps_the_free_space_floor) {
    settings.free_space_min = 1u << 20u;
    disk.set_free_space(1u << 30u);
    reopen();
    write("s", 30);
    set_metadata("s", R"({"$maxCount":2})");
    write("t", 12);
    disk.set_free_space((1u << 20u) + 100);
    const auto done = scavenge();
    EXPECT_EQ(done.state, scavenge_state::failed);
    EXPECT_NE(done.problem.find("too little space"), std::string::npos) << done.problem;
    disk.set_free_space(1u << 30u);
    EXPECT_EQ(scavenge().state, scavenge_state::completed);
}

} // namespace
} // namespace immortal::eventlog
