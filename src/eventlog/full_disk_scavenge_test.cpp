#include "eventlog/scavenge_fixture.hpp"
#include "eventlog/scavenge_reserve.hpp"

#include <algorithm>
#include <functional>

namespace immortal::eventlog {
namespace {

using base::cut_policy;

// A disk that holds the log and the reserve, and nothing more.
class full_disk_scavenging : public scavenge_fixture {
protected:
    void SetUp() override {
        settings.scavenge_reserve_bytes = settings.segment_size;
        reopen();
        write("few", 8);
        write("s", 30);
        set_metadata("s", R"({"$maxCount":2})");
        set_metadata("few", R"({"$maxCount":6})");
        write("t", 12);
        ASSERT_TRUE(open_->scavenges().maintain_reserve());
        ASSERT_EQ(reserve_bytes(), settings.segment_size);
        fill_disk();
    }
    std::uint64_t reserve_bytes() {
        return disk.contents(std::string(folder) + "/" + scavenge_reserve_name).size();
    }
    // Free blocks as under the floor of the free space: too few for anything.
    void fill_disk() { disk.set_capacity(used() + 100); }
    std::uint64_t used() {
        std::uint64_t sum = 0;
        for (const std::string& name : disk.list(folder).value()) {
            sum += disk.contents(std::string(folder) + "/" + name).size();
        }
        return sum;
    }
    std::uint64_t free_bytes() { return disk.free_space(folder).value(); }
    std::size_t visible() {
        std::size_t count = 0;
        for (const recorded_event& event : everything()) {
            count += event.stream == "t" || event.stream.starts_with("$$") ||
                     event.revision.value >= (event.stream == "s" ? 28 : 2);
        }
        return count;
    }
};

TEST_F(full_disk_scavenging, uses_its_reserve_and_makes_it_again) {
    EXPECT_FALSE(append("t", expected_revision::any(), {event_of(7'000, 400)}));
    const std::size_t seen = visible();
    const auto done = scavenge();
    ASSERT_EQ(done.state, scavenge_state::completed) << done.problem;
    EXPECT_EQ(done.events_removed, 28u + 2u);
    EXPECT_GT(done.segments_rewritten, 2u);
    EXPECT_EQ(reserve_bytes(), settings.segment_size);
    EXPECT_EQ(visible(), seen);
    EXPECT_TRUE(append("t", expected_revision::any(), {event_of(7'001, 400)}))
        << "writes resume by themselves";
    expect_sound();
}

TEST_F(full_disk_scavenging, without_a_reserve_says_what_is_missing) {
    ASSERT_TRUE(disk.remove(std::string(folder) + "/" + scavenge_reserve_name));
    fill_disk();
    const auto done = scavenge();
    EXPECT_EQ(done.state, scavenge_state::failed);
    EXPECT_NE(done.problem.find("too little space"), std::string::npos) << done.problem;
    expect_sound();
}

// The reserve's own room is that of the writer when it was not there before.
TEST_F(full_disk_scavenging, makes_no_reserve_in_the_room_that_is_kept_free) {
    ASSERT_TRUE(disk.remove(std::string(folder) + "/" + scavenge_reserve_name));
    settings.free_space_min = 2 * settings.segment_size;
    disk.set_capacity(1u << 30u);
    reopen();
    const std::uint64_t room = settings.free_space_min + 100; // for no new form
    disk.set_capacity(used() + room);
    const auto done = scavenge();
    EXPECT_EQ(done.state, scavenge_state::failed);
    EXPECT_NE(done.problem.find("too little space"), std::string::npos) << done.problem;
    EXPECT_EQ(reserve_bytes(), 0u);
    EXPECT_EQ(free_bytes(), room) << "as much as before";
    EXPECT_EQ(open_->state(), log_state::writable);
}

TEST_F(full_disk_scavenging, threads_do_not_count_on_the_same_room) {
    ASSERT_TRUE(disk.remove(std::string(folder) + "/" + scavenge_reserve_name));
    std::uint64_t most = 0;
    for (const segment_gain& gain : scavenge({.mode = scavenge_mode::measure}).gains) {
        most = std::max(most, gain.bytes_after);
    }
    ASSERT_GT(most, 0u);
    disk.set_capacity(used() + most);
    // So slow that each thread has begun before one has ended.
    const auto done = scavenge({.threads = 8, .bytes_per_second = 200'000});
    EXPECT_EQ(done.state, scavenge_state::completed) << done.problem;
    EXPECT_EQ(done.events_removed, 28u + 2u);
    expect_sound();
}

TEST_F(full_disk_scavenging, room_that_somebody_else_took_is_waited_for) {
    disk.set_capacity(1u << 20u);
    bool first = true;
    const auto id = open_->scavenges().start({}, [&](const scavenge_status& status) {
        if (status.segments_measured == status.segments_total && status.segments_total > 0 &&
            std::exchange(first, false)) {
            disk.fail_at(disk.steps() + 2, base::file_error::kind::no_space, false);
        }
    });
    ASSERT_TRUE(id);
    open_->scavenges().wait(scavenger::wait_how::to_the_end);
    const auto done = open_->scavenges().status();
    EXPECT_FALSE(first);
    EXPECT_EQ(done.state, scavenge_state::completed) << done.problem;
    EXPECT_EQ(done.events_removed, 28u + 2u);
    expect_sound();
}

TEST_F(full_disk_scavenging, a_new_file_counts_also_when_its_folder_is_not_synced) {
    settings.open_segments_max = 1;
    disk.set_capacity(1u << 20u);
    reopen();
    const std::size_t seen = visible();
    const std::size_t before = everything().size();
    disk.fail_all(base::memory_file_system::step_kind::folder_sync);
    EXPECT_EQ(scavenge().state, scavenge_state::failed);
    disk.fail_all({});
    EXPECT_EQ(visible(), seen);
    EXPECT_LT(everything().size(), before);
    EXPECT_EQ(scavenge().state, scavenge_state::completed);
    EXPECT_EQ(everything().size(), seen);
    expect_sound();
}

TEST(scavenge_reserve, one_that_is_too_small_makes_room_for_a_whole_one) {
    base::memory_file_system disk;
    const std::string path = std::string("/log/") + scavenge_reserve_name;
    disk.set_contents(path, std::string(3000, 'x'));
    disk.set_capacity(4096 + 100);
    scavenge_reserve reserve(disk, "/log", 4096);
    EXPECT_FALSE(reserve.keep(101).value());
    EXPECT_EQ(disk.contents(path).size(), 3000u);
    EXPECT_TRUE(reserve.keep(100).value());
    EXPECT_EQ(disk.contents(path).size(), 4096u);
}

TEST(scavenge_reserve, that_cannot_be_made_whole_again_does_not_stay) {
    base::memory_file_system disk;
    disk.set_contents("/log/lent", std::string(3000, 'x'));
    disk.set_capacity(3500);
    scavenge_reserve reserve(disk, "/log", 4096);
    EXPECT_FALSE(reserve.take_back("/log/lent"));
    EXPECT_TRUE(disk.list("/log").value().empty());
    disk.set_contents("/log/lent", std::string(3000, 'x'));
    disk.fail_all(base::memory_file_system::step_kind::rename);
    EXPECT_FALSE(reserve.take_back("/log/lent"));
    EXPECT_TRUE(disk.list("/log").value().empty());
}

TEST_F(full_disk_scavenging, begins_with_the_biggest_gain) {
    const auto dry = scavenge({.mode = scavenge_mode::measure});
    ASSERT_GT(dry.gains.size(), 2u);
    ASSERT_FALSE(std::ranges::is_sorted(dry.gains, {}, &segment_gain::segment))
        << "the order of the log would do";
    EXPECT_TRUE(std::ranges::is_sorted(dry.gains, std::greater{}, &segment_gain::bytes));
    std::vector<std::uint64_t> saved;
    const auto id = open_->scavenges().start({}, [&](const scavenge_status& status) {
        if (saved.empty() || saved.back() != status.bytes_saved) {
            saved.push_back(status.bytes_saved);
        }
    });
    ASSERT_TRUE(id);
    open_->scavenges().wait(scavenger::wait_how::to_the_end);
    ASSERT_EQ(saved.size(), dry.gains.size() + 1);
    for (std::size_t i = 0; i < dry.gains.size(); ++i) {
        EXPECT_EQ(saved[i + 1] - saved[i], dry.gains[i].bytes());
    }
}

// The power fails before each of its steps: every segment is there as it was or as it will be,
// and a scavenge of the disk, which is still full, ends the work.
TEST_F(full_disk_scavenging, a_power_cut_at_any_step_loses_nothing) {
    const std::size_t seen = visible();
    open_.reset();
    std::map<std::string, std::string> start;
    for (const std::string& name : disk.list(folder).value()) {
        start[name] = disk.contents(std::string(folder) + "/" + name);
    }
    const std::uint64_t capacity = used() + 100;
    std::uint64_t cuts = 0;
    for (const cut_policy policy : {cut_policy::drop_all, cut_policy::keep_all,
                                    cut_policy::keep_random, cut_policy::tear_last}) {
        bool cut = true;
        for (std::uint64_t step = 1; cut; ++step) {
            disk = base::memory_file_system(step);
            for (const auto& [name, bytes] : start) {
                disk.set_contents(std::string(folder) + "/" + name, bytes);
            }
            disk.set_capacity(capacity);
            reopen();
            disk.lose_power_at(disk.steps() + step);
            (void)scavenge();
            open_.reset();
            cut = disk.lost_power();
            cuts += cut ? 1 : 0;
            disk.restart(policy);
            ASSERT_NO_FATAL_FAILURE(reopen()) << "step " << step;
            ASSERT_EQ(visible(), seen) << "step " << step;
            const auto again = scavenge();
            ASSERT_EQ(again.state, scavenge_state::completed) << again.problem << " " << step;
            ASSERT_EQ(everything().size(), seen) << "step " << step;
            ASSERT_NO_FATAL_FAILURE(expect_sound()) << "step " << step;
        }
    }
    EXPECT_GT(cuts, 40u);
}

TEST_F(full_disk_scavenging, a_failing_step_leaves_the_log_and_a_way_on) {
    const std::size_t seen = visible();
    open_.reset();
    std::map<std::string, std::string> start;
    for (const std::string& name : disk.list(folder).value()) {
        start[name] = disk.contents(std::string(folder) + "/" + name);
    }
    const std::uint64_t capacity = used() + 100;
    bool failed = true;
    for (std::uint64_t step = 1; failed; ++step) {
        SCOPED_TRACE(step);
        open_.reset();
        disk = base::memory_file_system(step);
        for (const auto& [name, bytes] : start) {
            disk.set_contents(std::string(folder) + "/" + name, bytes);
        }
        disk.set_capacity(capacity);
        reopen();
        disk.fail_at(disk.steps() + step, base::file_error::kind::io, false);
        const auto done = scavenge();
        failed = done.state == scavenge_state::failed;
        ASSERT_EQ(visible(), seen);
        disk.restart(cut_policy::keep_all);
        ASSERT_NO_FATAL_FAILURE(reopen());
        const auto again = scavenge();
        ASSERT_EQ(again.state, scavenge_state::completed) << again.problem;
        ASSERT_EQ(everything().size(), seen);
    }
}

} // namespace
} // namespace immortal::eventlog
