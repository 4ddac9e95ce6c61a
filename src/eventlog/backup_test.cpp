#include "eventlog/backup.hpp"
#include "eventlog/backup_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::cut_policy;
using base::errc;

TEST_F(backups, of_a_log_that_is_open_and_restored_is_the_same_log_in_a_new_epoch) {
    write("s", 40);
    write("t", 5);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->manifest.events, 45u);
    const auto restored = restore();
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(restored->events, 45u);
    EXPECT_EQ(restored->log.id, open_->identity().id);
    EXPECT_GT(restored->log.epoch, open_->identity().epoch);
    expect_copy_holds(all_events());
}

TEST_F(backups, store_only_what_is_new) {
    write("s", 40);
    ASSERT_TRUE(back_up());
    const auto nothing = back_up();
    ASSERT_TRUE(nothing);
    EXPECT_EQ(nothing->bytes_new, 0u);
    const base::position before = open_->head().end;
    write("s", 3);
    const auto more = back_up();
    ASSERT_TRUE(more);
    EXPECT_LE(more->bytes_new, open_->head().end.value - before.value);
    EXPECT_EQ(list_backups(*target_)->size(), 2u);
    ASSERT_TRUE(restore());
    expect_copy_holds(all_events());
}

TEST_F(backups, an_empty_log_too) {
    ASSERT_TRUE(back_up());
    const auto restored = restore();
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_FALSE(restored->last_event);
    expect_copy_holds({});
}

// Every place of the log: what is kept is every append that ended there or before.
TEST_F(backups, restore_to_any_position) {
    for (std::uint64_t i = 0; i < 12; ++i) {
        std::vector<stream_write> writes;
        writes.push_back({"a", expected_revision::any(), events_of(i * 10, 2, 150)});
        writes.push_back({"b", expected_revision::any(), events_of(i * 10 + 5, 1, 150)});
        ASSERT_TRUE(append(std::move(writes)));
    }
    ASSERT_TRUE(back_up());
    const auto all = all_events();
    const std::uint64_t end = open_->head().end.value;
    for (std::uint64_t at = 0; at < end; at += 61) {
        std::map<std::uint64_t, recorded_event> expected;
        std::map<std::uint64_t, recorded_event> batch;
        for (const auto& [position, event] : all) {
            batch.emplace(position, event);
            if (event.last_in_batch && position <= at) {
                expected.merge(batch);
            }
            if (event.last_in_batch) {
                batch.clear();
            }
        }
        restore_options options;
        options.at = base::position{at};
        const auto restored = restore(options);
        ASSERT_TRUE(restored) << restored.error().message;
        EXPECT_EQ(restored->events, expected.size());
        ASSERT_NO_FATAL_FAILURE(expect_copy_holds(expected)) << at;
        remove_copy();
    }
    restore_options beyond;
    beyond.at = base::position{end};
    EXPECT_EQ(restore(beyond).error().code, errc::invalid_argument);
    const auto names = disk.list(copy);
    ASSERT_TRUE(names);
    EXPECT_EQ(std::ranges::count(*names, restore_marker), 1) << "an empty log could be begun here";
}

TEST_F(backups, of_scavenged_segments_restore_to_any_position) {
    write("s", 30, 100);
    set_metadata("s", R"({"$maxCount":4})");
    write("t", 20);
    ASSERT_TRUE(back_up());
    ASSERT_GT(scavenge().segments_rewritten, 1u);
    clock.advance(std::chrono::seconds(1));
    write("t", 1);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(made->manifest.segments.front().scavenged);
    ASSERT_EQ(prune_backups(*target_, clock, {.keep = 1})->backups_removed, 1u);
    const auto all = all_events();
    const std::uint64_t end = open_->head().end.value;
    for (std::uint64_t at = 0; at < end; at += 333) {
        std::map<std::uint64_t, recorded_event> expected;
        std::ranges::copy_if(all, std::inserter(expected, expected.end()),
                             [&](const auto& each) { return each.first <= at; });
        restore_options options;
        options.at = base::position{at};
        const auto restored = restore(options);
        ASSERT_TRUE(restored) << restored.error().message;
        ASSERT_NO_FATAL_FAILURE(expect_copy_holds(expected)) << at;
        remove_copy();
    }
    ASSERT_TRUE(restore());
    expect_copy_holds(all);
}

TEST_F(backups, a_scavenged_segment_is_stored_anew_and_old_backups_stay) {
    write("s", 60);
    ASSERT_TRUE(back_up());
    const auto before = all_events();
    set_metadata("s", R"({"$maxCount":1})");
    write("t", 10);
    const std::string first = list_backups(*target_)->front().name;
    ASSERT_GT(scavenge().events_removed, 0u);
    const auto made = back_up();
    ASSERT_TRUE(made);
    EXPECT_GT(made->blobs_new, 2u);
    restore_options old;
    old.backup = first;
    ASSERT_TRUE(restore(old));
    expect_copy_holds(before);
}

TEST_F(backups, of_a_restored_log_share_the_target) {
    write("s", 20);
    ASSERT_TRUE(back_up());
    write("s", 20);
    const auto original = back_up();
    ASSERT_TRUE(original);
    restore_options options;
    options.at = original->manifest.segments[1].pieces.empty()
                     ? base::position{5000}
                     : base::position{original->manifest.segments[1].first_position + 2000};
    ASSERT_TRUE(restore(options));
    ASSERT_TRUE(open_copy());
    write("other", 20); // another history after the same place
    const auto expected = all_events();
    clock.advance(std::chrono::seconds(1));
    ASSERT_TRUE(make_backup(copy, disk, clock, *target_));
    reopen();
    remove_copy();
    const auto restored = restore();
    ASSERT_TRUE(restored) << restored.error().message;
    expect_copy_holds(expected);
}

TEST_F(backups, of_another_log_are_refused) {
    write("s", 5);
    ASSERT_TRUE(back_up());
    settings.folder = "/other";
    open_.reset();
    ASSERT_TRUE(try_open());
    const auto foreign = make_backup("/other", disk, clock, *target_);
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().reason, "foreign");
    EXPECT_EQ(make_backup("/nowhere", disk, clock, *target_).error().code, errc::not_found);
}

TEST_F(backups, a_damaged_log_is_not_backed_up) {
    write("s", 40);
    open_.reset();
    disk.flip_bit(segment_path(1), 700, 3);
    const auto made = back_up();
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, errc::corrupt);
    EXPECT_NE(made.error().message.find("segment-00000001.log"), std::string::npos)
        << made.error().message;
    EXPECT_TRUE(list_backups(*target_)->empty());
}

TEST_F(backups, only_into_an_empty_folder) {
    write("s", 5);
    ASSERT_TRUE(back_up());
    const auto onto = restore_backup(*target_, folder, disk, clock);
    ASSERT_FALSE(onto); // it is open
    EXPECT_EQ(onto.error().reason, "in_use");
    open_.reset();
    EXPECT_EQ(restore_backup(*target_, folder, disk, clock).error().code, errc::already_exists);
    reopen();
    EXPECT_EQ(all_events().size(), 5u);
}

TEST_F(backups, every_flipped_bit_and_missing_piece_is_named) {
    write("s", 30);
    set_metadata("s", R"({"$maxCount":4})");
    write("t", 15);
    (void)scavenge();
    ASSERT_TRUE(back_up());
    std::vector<std::string> paths = blob_paths(disk, "blobs");
    ASSERT_GT(paths.size(), 3u);
    const std::string manifest = blob_paths(disk, "manifests").front();
    paths.push_back(manifest);
    for (const std::string& path : paths) {
        const std::string good = disk.contents(path);
        const std::string name = path.substr(path.rfind('/') + 1);
        const std::uint64_t step = std::max<std::uint64_t>(1, good.size() / 40);
        for (std::uint64_t offset = 0; offset < good.size(); offset += step) {
            disk.flip_bit(path, offset, static_cast<unsigned>(offset % 8));
            const auto restored = restore();
            ASSERT_FALSE(restored) << path << " at " << offset;
            ASSERT_NE(restored.error().message.find(name), std::string::npos)
                << restored.error().message;
            ASSERT_FALSE(path != manifest && open_copy());
            disk.set_contents(path, good);
        }
        ASSERT_TRUE(disk.remove(path));
        const auto restored = restore();
        ASSERT_FALSE(restored);
        ASSERT_EQ(restored.error().code, errc::not_found) << restored.error().message;
        disk.set_contents(path, good);
    }
    reopen();
    ASSERT_TRUE(restore()) << "into the folder that the failed ones left";
    expect_copy_holds(all_events());
}

TEST_F(backups, stop_when_told_and_go_on_with_what_is_there) {
    write("s", 60);
    int calls = 0;
    const auto stopped = back_up({.progress = [&](const backup_progress&) { return ++calls < 6; }});
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, errc::cancelled);
    const std::size_t stored = blob_paths(disk, "blobs").size();
    EXPECT_GT(stored, 0u);
    const auto made = back_up();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->blobs_new + stored, blob_paths(disk, "blobs").size());
    ASSERT_TRUE(restore());
    expect_copy_holds(all_events());
}

TEST_F(backups, pruned_keep_what_the_newest_need) {
    for (int i = 0; i < 5; ++i) {
        write("s", 15);
        ASSERT_TRUE(back_up());
    }
    disk.set_contents("/backup/blobs/" + std::string(64, 'a'), "of a backup that was killed");
    const auto pruned = prune_backups(*target_, clock, {.keep = 2});
    ASSERT_TRUE(pruned) << pruned.error().message;
    EXPECT_EQ(pruned->backups_removed, 3u);
    EXPECT_EQ(pruned->blobs_removed, 0u);
    EXPECT_GE(pruned->blobs_waiting, 1u);
    clock.advance(std::chrono::hours(24) + std::chrono::seconds(1));
    const auto later = prune_backups(*target_, clock, {.keep = 2});
    ASSERT_TRUE(later) << later.error().message;
    EXPECT_EQ(later->blobs_removed, pruned->blobs_waiting);
    EXPECT_EQ(later->bytes_removed, pruned->bytes_waiting);
    EXPECT_EQ(later->blobs_waiting, 0u);
    for (const backup_entry& entry : *list_backups(*target_)) {
        restore_options options;
        options.backup = entry.name;
        ASSERT_TRUE(restore(options));
        remove_copy();
    }
}

// A backup and a restore with the power failing before each of their steps.
TEST_F(backups, a_power_cut_at_any_step) {
    write("s", 25);
    ASSERT_TRUE(back_up());
    write("s", 12);
    const auto all = all_events();
    open_.reset();
    std::map<std::string, std::string> start;
    for (const std::string& name : disk.list(folder).value()) {
        start[std::string(folder) + "/" + name] = disk.contents(std::string(folder) + "/" + name);
    }
    for (const char* kind : {"blobs", "manifests"}) {
        for (const std::string& path : blob_paths(disk, kind)) {
            start[path] = disk.contents(path);
        }
    }
    std::uint64_t cuts = 0;
    for (const cut_policy policy : {cut_policy::drop_all, cut_policy::keep_all,
                                    cut_policy::keep_random, cut_policy::tear_last}) {
        bool cut = true;
        for (std::uint64_t step = 1; cut; ++step) {
            disk = base::memory_file_system(step);
            for (const char* made : {folder, "/backup/blobs", "/backup/manifests"}) {
                ASSERT_TRUE(disk.make_directory(made));
            }
            for (const auto& [path, bytes] : start) {
                disk.set_contents(path, bytes);
            }
            disk.lose_power_at(disk.steps() + step);
            const auto made = back_up();
            const auto restored = made ? restore() : base::fail(made.error());
            cut = disk.lost_power();
            ASSERT_EQ(cut, !restored) << step;
            if (!cut) {
                break;
            }
            disk.restart(policy);
            ++cuts;
            // The backup of before is good, or the new one.
            const auto kept = list_backups(*target_);
            ASSERT_TRUE(kept);
            ASSERT_FALSE(kept->empty());
            for (const backup_entry& entry : *kept) {
                ASSERT_TRUE(entry.good()) << entry.problem().message;
            }
            ASSERT_TRUE(!made || kept->size() == 2) << "an acknowledged backup is lost";
            // The copy is refused as incomplete, or is whole.
            if (const auto names = disk.list(copy);
                names && std::ranges::any_of(*names, [](const std::string& name) {
                    return format::segment_number(name) || name == "anchor";
                })) {
                const auto opened = open_copy();
                ASSERT_TRUE(!opened || all_events().size() == all.size()) << step;
                const bool whole = opened.has_value();
                open_.reset();
                if (whole) {
                    continue;
                }
            }
            ASSERT_TRUE(back_up({.lease = patient()}));
            const auto again = restore();
            ASSERT_TRUE(again) << again.error().message;
            ASSERT_EQ(again->events, all.size());
        }
    }
    EXPECT_GT(cuts, 60u);
}

} // namespace
} // namespace immortal::eventlog
