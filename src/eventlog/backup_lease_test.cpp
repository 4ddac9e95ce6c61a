// Two that work in one target at once, one that is killed, one that was stopped and wakes up.
#include "eventlog/backup_fixture.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::errc;
using std::chrono::hours;
using std::chrono::seconds;

class backup_leases : public backups {
protected:
    // A target with two backups, of which the first is due to be pruned, and a piece that an
    // interrupted backup left.
    void prepare() {
        remove_target();
        ASSERT_TRUE(make_backup(folder, disk, clock, *target_));
        write("s", 2, 900);
        ASSERT_TRUE(back_up());
        write("s", 2, 900);
        const std::size_t needed = blob_paths(disk, "blobs").size();
        stepping_target killed(*target_);
        killed.dies_at = 17;
        ASSERT_FALSE(make_backup(folder, disk, clock, killed));
        ASSERT_GT(blob_paths(disk, "blobs").size(), needed);
        clock.advance(hours(2)); // whose lease is over
    }
    prune_options hasty() { return {.keep = 1, .grace = {}}; }

    // Nothing that is listed as good cannot be restored, and a backup that was made is good.
    void expect_sound(const base::result<backup_report>& made) {
        expect_good_ones_restore();
        const auto entries = list_backups(*target_);
        ASSERT_TRUE(entries);
        if (made) {
            const auto found = std::ranges::find_if(*entries, [&](const backup_entry& entry) {
                return "manifests/" + entry.name == made->manifest.name();
            });
            ASSERT_NE(found, entries->end());
            EXPECT_TRUE(found->good()) << found->problem().message;
        }
    }
};

TEST_F(backup_leases, are_held_by_one_at_a_time) {
    auto first = backup_lease::take(*target_, clock, "a backup", {.holder = "host 1"});
    ASSERT_TRUE(first) << first.error().message;
    const auto second = backup_lease::take(*target_, clock, "a prune", {.holder = "host 2"});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().reason, "in_use");
    EXPECT_NE(second.error().message.find("a backup by host 1"), std::string::npos)
        << second.error().message;
    EXPECT_TRUE(first->check());
    first->release();
    auto third = backup_lease::take(*target_, clock, "a prune", {.holder = "host 2"});
    ASSERT_TRUE(third);
    EXPECT_EQ(first->check().error().reason, "lease_lost");
    EXPECT_EQ(blob_paths(disk, "leases").size(), 1u) << "old generations are removed";
    first->release(); // of what it no longer holds: nothing happens
    EXPECT_TRUE(third->check());
}

TEST_F(backup_leases, of_the_dead_are_taken_over_after_their_time_and_not_before) {
    {
        const auto dead = backup_lease::take(*target_, clock, "a backup", {.time = seconds(60)});
    }
    const auto begin = clock.steady_now();
    clock.set(clock.now() - hours(5)); // whatever the clocks of the day say
    const auto next = backup_lease::take(*target_, clock, "a backup", patient());
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_GE(clock.steady_now() - begin, seconds(60));
    EXPECT_LT(clock.steady_now() - begin, seconds(63));
}

TEST_F(backup_leases, of_the_living_are_never_taken_over) {
    auto holder = backup_lease::take(*target_, clock, "a backup", {.time = seconds(60)});
    ASSERT_TRUE(holder);
    lease_options watching{.wait = [&](std::chrono::milliseconds time, std::string_view) {
        clock.advance(time);
        EXPECT_TRUE(holder->keep());
        return true;
    }};
    const auto begin = clock.steady_now();
    const auto refused = backup_lease::take(*target_, clock, "a prune", watching);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "in_use");
    EXPECT_LT(clock.steady_now() - begin, seconds(20)) << "a sign of life is enough";
    watching.wait = [](auto, auto) { return false; };
    EXPECT_EQ(backup_lease::take(*target_, clock, "a prune", watching).error().code,
              errc::cancelled);
}

TEST_F(backup_leases, that_are_very_old_are_taken_at_once) {
    {
        const auto dead = backup_lease::take(*target_, clock, "a backup", {.time = seconds(60)});
    }
    clock.advance(seconds(3600));
    EXPECT_FALSE(backup_lease::take(*target_, clock, "a backup", {}));
    clock.advance(seconds(61));
    EXPECT_TRUE(backup_lease::take(*target_, clock, "a backup", {}));
}

TEST_F(backup_leases, that_cannot_be_read_are_nobodys) {
    for (const char* text : {"", "{\"hold", "{}", "[]", R"({"held":true,"seconds":-1})"}) {
        remove_target();
        disk.set_contents("/backup/leases/0000000003.json", text);
        auto taken = backup_lease::take(*target_, clock, "a backup", {});
        ASSERT_TRUE(taken) << taken.error().message;
        EXPECT_TRUE(taken->check());
        EXPECT_EQ(blob_paths(disk, "leases").size(), 1u);
    }
}

// Its maker goes on at any step of the one who finds it unreadable. As makers do, it believes to
// hold it if there is no higher one when it has written.
TEST_F(backup_leases, that_are_still_written_are_not_taken_from_their_makers) {
    const std::string path = "/backup/leases/0000000001.json";
    remove_target();
    ASSERT_TRUE(backup_lease::take(*target_, clock, "a backup", {.holder = "the maker"}));
    const std::string whole = disk.contents(path);
    std::uint64_t kept = 0;
    for (std::uint64_t step = 1;; ++step) {
        remove_target();
        disk.set_contents(path, whole.substr(0, step % 3 * 20));
        stepping_target other(*target_);
        other.acts_at = step;
        bool is_made = false;
        other.act = [&] {
            const auto there = blob_paths(disk, "leases");
            if (std::ranges::find(there, path) != there.end()) {
                disk.set_contents(path, whole);
            }
            is_made = blob_paths(disk, "leases") == std::vector<std::string>{path};
        };
        const auto taken = backup_lease::take(other, clock, "a prune", {.holder = "the other"});
        if (other.steps < step) {
            EXPECT_GT(step, 5u);
            break;
        }
        EXPECT_FALSE(is_made && taken) << step;
        kept += is_made ? 1 : 0;
        EXPECT_TRUE(taken || taken.error().reason == "in_use") << step << taken.error().message;
    }
    EXPECT_GT(kept, 1u);
}

TEST_F(backup_leases, of_processes_that_have_ended_are_taken_at_once) {
    const auto left_by = [&](const std::string& process) {
        remove_target();
        EXPECT_TRUE(backup_lease::take(*target_, clock, "a backup", {.process = process}));
    };
    lease_options knowing{.is_gone = [](std::string_view process) { return process == "ended"; }};
    left_by("ended");
    EXPECT_EQ(backup_lease::take(*target_, clock, "a prune", {}).error().reason, "in_use");
    EXPECT_TRUE(backup_lease::take(*target_, clock, "a prune", knowing));
    for (const char* process : {"alive", ""}) {
        left_by(process);
        EXPECT_EQ(backup_lease::take(*target_, clock, "a prune", knowing).error().reason, "in_use");
    }
    knowing.is_gone = [](std::string_view) { return true; };
    EXPECT_EQ(backup_lease::take(*target_, clock, "a prune", knowing).error().reason, "in_use")
        << "a holder that names no process";
}

// Of two that find the same lease over, one gets the next one.
TEST_F(backup_leases, are_taken_over_by_one_of_two) {
    for (std::uint64_t step = 1;; ++step) {
        remove_target();
        {
            const auto dead = backup_lease::take(*target_, clock, "a backup", {});
        }
        clock.advance(hours(2));
        stepping_target slow(*target_);
        slow.acts_at = step;
        base::result<backup_lease> quick = base::fail(errc::internal, "not begun");
        slow.act = [&] { quick = backup_lease::take(*target_, clock, "a prune", {}); };
        const auto taken = backup_lease::take(slow, clock, "a backup", {});
        if (slow.steps < step) {
            EXPECT_GT(step, 4u);
            break;
        }
        const bool slow_holds = taken && backup_lease(*taken).check();
        const bool quick_holds = quick && quick->check();
        EXPECT_EQ(int{slow_holds} + int{quick_holds}, 1) << step;
        EXPECT_TRUE(!taken || slow_holds) << step;
    }
}

TEST_F(backup_leases, two_backups_at_once) {
    write("s", 10);
    for (std::uint64_t step = 1;; ++step) {
        remove_target();
        ASSERT_TRUE(back_up());
        write("s", 1);
        stepping_target slow(*target_);
        slow.acts_at = step;
        base::result<backup_report> quick = base::fail(errc::internal, "not begun");
        slow.act = [&] {
            write("s", 1);
            quick = back_up();
        };
        const auto made = make_backup(folder, disk, clock, slow);
        ASSERT_TRUE(made || made.error().reason == "in_use") << step << made.error().message;
        if (slow.steps < step) {
            EXPECT_GT(step, 12u);
            break;
        }
        ASSERT_TRUE(quick || quick.error().reason == "in_use") << step;
        EXPECT_TRUE(made || quick) << step;
        EXPECT_FALSE(made && made->begun) << step;
        expect_sound(made);
        expect_sound(quick);
    }
}

TEST_F(backup_leases, a_prune_beside_a_backup) {
    write("s", 10);
    for (std::uint64_t step = 1;; ++step) {
        prepare();
        stepping_target slow(*target_);
        slow.acts_at = step;
        base::result<prune_report> pruned = base::fail(errc::internal, "not begun");
        slow.act = [&] { pruned = prune_backups(*target_, clock, hasty()); };
        const auto made = make_backup(folder, disk, clock, slow);
        ASSERT_TRUE(made) << step << ": " << made.error().message;
        if (slow.steps < step) {
            EXPECT_GT(step, 12u);
            break;
        }
        EXPECT_TRUE(pruned || pruned.error().reason == "in_use") << step;
        expect_sound(made);
    }
}

TEST_F(backup_leases, a_backup_beside_a_prune) {
    write("s", 10);
    for (std::uint64_t step = 1;; ++step) {
        prepare();
        stepping_target slow(*target_);
        slow.acts_at = step;
        base::result<backup_report> made = base::fail(errc::internal, "not begun");
        slow.act = [&] { made = back_up(); };
        const auto pruned = prune_backups(slow, clock, hasty());
        ASSERT_TRUE(pruned) << step << ": " << pruned.error().message;
        if (slow.steps < step) {
            EXPECT_GT(step, 12u);
            break;
        }
        EXPECT_TRUE(made || made.error().reason == "in_use") << step;
        expect_sound(made);
    }
}

TEST_F(backup_leases, a_backup_that_is_killed_anywhere_loses_nothing_to_a_prune) {
    write("s", 10);
    for (std::uint64_t step = 1;; ++step) {
        prepare();
        stepping_target killed(*target_);
        killed.dies_at = step;
        const auto made = make_backup(folder, disk, clock, killed);
        if (killed.steps < step) {
            EXPECT_GT(step, 12u);
            break;
        }
        const auto stored = blob_paths(disk, "blobs");
        const auto pruned = prune_backups(*target_, clock, {.keep = 1, .lease = patient()});
        ASSERT_TRUE(pruned) << step << ": " << pruned.error().message;
        EXPECT_EQ(blob_paths(disk, "blobs"), stored) << step;
        const auto again = back_up();
        ASSERT_TRUE(again) << step << ": " << again.error().message;
        expect_sound(again);
        clock.advance(hours(25));
        ASSERT_TRUE(prune_backups(*target_, clock, {.keep = 1}));
        expect_sound(again);
        EXPECT_TRUE(check_backups(*target_, random)->sound());
    }
}

TEST_F(backup_leases, a_prune_that_is_killed_anywhere_leaves_good_backups) {
    write("s", 10);
    for (std::uint64_t step = 1;; ++step) {
        prepare();
        stepping_target killed(*target_);
        killed.dies_at = step;
        (void)prune_backups(killed, clock, hasty());
        if (killed.steps < step) {
            EXPECT_GT(step, 12u);
            break;
        }
        for (const backup_entry& entry : *list_backups(*target_)) {
            EXPECT_TRUE(entry.good()) << step << ": " << entry.problem().message;
        }
        const auto made = back_up({.lease = patient()});
        ASSERT_TRUE(made) << step << ": " << made.error().message;
        expect_sound(made);
        ASSERT_TRUE(prune_backups(*target_, clock, hasty()));
        expect_sound(made);
    }
}

// A machine that sleeps for hours in the middle of a backup: a prune takes its lease over and
// removes what no backup needs; then it wakes up.
TEST_F(backup_leases, a_backup_that_was_stopped_for_long_finds_out) {
    write("s", 10);
    std::uint64_t lost = 0;
    for (std::uint64_t step = 1;; ++step) {
        prepare();
        stepping_target slow(*target_);
        slow.acts_at = step;
        slow.act = [&] {
            prune_options options = hasty();
            options.lease = patient();
            const auto pruned = prune_backups(*target_, clock, options);
            ASSERT_TRUE(pruned) << pruned.error().message;
        };
        const auto made = make_backup(folder, disk, clock, slow);
        if (slow.steps < step) {
            break;
        }
        lost += made ? 0 : 1;
        expect_sound(made);
        const auto again = back_up({.lease = patient()});
        ASSERT_TRUE(again) << step << ": " << again.error().message;
        expect_sound(again);
    }
    EXPECT_GT(lost, 3u);
}

// The same in the middle of a prune. Only between a look at its lease and the removal that follows
// at once can it remove what the other one uses; then that backup is not listed as good, and the
// next one mends it.
TEST_F(backup_leases, a_prune_that_was_stopped_for_long_finds_out) {
    write("s", 10);
    std::uint64_t harmed = 0;
    for (std::uint64_t step = 1;; ++step) {
        prepare();
        stepping_target slow(*target_);
        slow.acts_at = step;
        base::result<backup_report> made = base::fail(errc::internal, "not begun");
        slow.act = [&] { made = back_up({.lease = patient()}); };
        (void)prune_backups(slow, clock, hasty());
        if (slow.steps < step) {
            break;
        }
        ASSERT_TRUE(made) << step << ": " << made.error().message;
        expect_good_ones_restore();
        const auto entries = list_backups(*target_);
        harmed += std::ranges::all_of(*entries, &backup_entry::good) ? 0 : 1;
        const auto again = back_up({.lease = patient()});
        ASSERT_TRUE(again) << step << ": " << again.error().message;
        for (const backup_entry& entry : *list_backups(*target_)) {
            EXPECT_TRUE(entry.good()) << step << ": " << entry.problem().message;
        }
        expect_good_ones_restore();
    }
    EXPECT_LE(harmed, 1u);
}

TEST_F(backup_leases, are_kept_while_much_is_stored) {
    write("s", 40);
    stepping_target slow(*target_);
    std::uint64_t lists = 0;
    const auto made = make_backup(folder, disk, clock, slow,
                                  {.progress =
                                       [&](const backup_progress&) {
                                           clock.advance(seconds(50));
                                           const auto other = prune_backups(*target_, clock, {});
                                           EXPECT_FALSE(other);
                                           ++lists;
                                           return true;
                                       },
                                   .lease = {.time = seconds(120)}});
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_GT(lists, 6u) << "it took longer than one lease";
}

TEST_F(backup_leases, that_begin_remove_what_was_interrupted_while_it_was_put) {
    write("s", 10);
    ASSERT_TRUE(back_up());
    const auto leave = [&] {
        disk.set_contents("/backup/blobs/" + std::string(64, 'b') + ".0.part", "half");
    };
    const auto expect_gone = [&] {
        for (const std::string& path : blob_paths(disk, "blobs")) {
            EXPECT_FALSE(path.ends_with(".part")) << path;
        }
    };
    leave();
    ASSERT_TRUE(prune_backups(*target_, clock, {}));
    expect_gone();
    leave();
    ASSERT_TRUE(back_up());
    expect_gone();
    expect_good_ones_restore();
}

} // namespace
} // namespace immortal::eventlog
