// Logs that do not continue what was backed up: folders that were rolled back, copied, restored;
// and targets of the first version.
#include "eventlog/backup_fixture.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace immortal::eventlog {
namespace {

using base::errc;

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class backup_lines : public backups {
protected:
    static std::string name_of(const base::result<backup_report>& made) {
        return made->manifest.name().substr(std::string("manifests/").size());
    }
};

TEST_F(backup_lines, a_folder_that_was_rolled_back_and_went_on_begins_a_new_one) {
    write("s", 20);
    const auto snapshot = copy_of(folder);
    const auto first = back_up();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->manifest.line, 1u);
    EXPECT_FALSE(first->begun);
    write("s", 25);
    const auto second = back_up();
    ASSERT_TRUE(second);
    const auto before = all_events();

    roll_back(snapshot);
    write("other", 30);
    clock.advance(std::chrono::seconds(1));
    const auto third = back_up();
    ASSERT_TRUE(third) << third.error().message;
    EXPECT_EQ(third->manifest.line, 2u);
    ASSERT_TRUE(third->begun);
    EXPECT_EQ(third->begun->left, name_of(second));
    EXPECT_EQ(third->begun->fork, first->manifest.end);
    EXPECT_LT(third->bytes_new, third->manifest.stored_bytes()) << "what they share is used";
    const auto now = all_events();

    const auto entries = list_backups(*target_);
    ASSERT_TRUE(entries);
    ASSERT_EQ(entries->size(), 3u);
    EXPECT_EQ(entries->back().name, name_of(third));
    EXPECT_TRUE(std::ranges::all_of(*entries, &backup_entry::good));
    expect_backup_holds("", now);
    expect_backup_holds(name_of(second), before);
    expect_backup_holds(name_of(third), now);

    write("other", 3);
    const auto fourth = back_up();
    ASSERT_TRUE(fourth);
    EXPECT_EQ(fourth->manifest.line, 2u);
    EXPECT_FALSE(fourth->begun);
    expect_backup_holds("", all_events());
}

// What agrees is found in the backups that are left, not only at the ends of backups.
TEST_F(backup_lines, a_prune_leaves_the_fork_known) {
    write("s", 20);
    ASSERT_TRUE(back_up());
    write("s", 7);
    const auto snapshot = copy_of(folder);
    const base::position fork = open_->head().end;
    write("s", 25);
    ASSERT_TRUE(back_up());
    ASSERT_EQ(prune_backups(*target_, clock, {.keep = 1, .grace = {}})->backups_removed, 1u);

    roll_back(snapshot);
    write("other", 30);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->manifest.line, 2u);
    ASSERT_TRUE(made->begun);
    EXPECT_EQ(made->begun->fork, fork);
    EXPECT_TRUE(made->begun->is_exact);
    expect_backup_holds("", all_events());
}

TEST_F(backup_lines, a_fork_is_known_as_far_as_what_is_stored_can_be_read) {
    write("s", 20);
    const auto snapshot = copy_of(folder);
    const base::position fork = open_->head().end;
    write("s", 25);
    const auto left = back_up();
    ASSERT_TRUE(left);
    roll_back(snapshot);
    const auto segment =
        std::ranges::find_if(left->manifest.segments, [&](const backup_segment& one) {
            return one.first_position + one.logical_size > fork.value;
        });
    ASSERT_NE(segment, left->manifest.segments.end());
    ASSERT_GT(segment->number, 0u);
    ASSERT_TRUE(disk.remove("/backup/" + segment->pieces.front().blob()));
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(made->begun);
    EXPECT_EQ(made->begun->fork, base::position{segment->first_position});
    EXPECT_FALSE(made->begun->is_exact);
}

TEST_F(backup_lines, no_fork_is_named_where_nothing_can_be_compared) {
    write("s", 20);
    const auto snapshot = copy_of(folder);
    write("s", 5);
    const auto left = back_up();
    ASSERT_TRUE(left);
    disk.set_contents("/backup/" + left->manifest.name(), "no manifest");
    roll_back(snapshot);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(made->begun);
    EXPECT_FALSE(made->begun->fork);
    EXPECT_FALSE(made->begun->is_exact);
    expect_backup_holds("", all_events());
}

// At every place of the log: the fork may lie inside a segment, at its end, in a piece.
TEST_F(backup_lines, a_fork_anywhere) {
    write("s", 1);
    for (int i = 0; i < 24; ++i) {
        const auto snapshot = copy_of(folder);
        const base::position fork = open_->head().end;
        write("s", 12, 300);
        const auto left = back_up();
        ASSERT_TRUE(left) << left.error().message;
        const auto before = all_events();
        roll_back(snapshot);
        write("other", 13, 300);
        const auto made = back_up();
        ASSERT_TRUE(made) << made.error().message;
        ASSERT_TRUE(made->begun) << i;
        const base::position behind_header{fork.value + sizeof(format::segment_header)};
        EXPECT_TRUE(made->begun->fork == fork || // or both began the same segment there
                    made->begun->fork == behind_header)
            << i;
        EXPECT_TRUE(made->begun->is_exact) << i;
        const auto now = all_events();
        expect_backup_holds(name_of(left), before);
        expect_backup_holds("", now);
        remove_target();
        roll_back(snapshot);
        write("s", 1, 300);
    }
}

TEST_F(backup_lines, a_folder_that_was_rolled_back_and_did_nothing_yet) {
    write("s", 20);
    const auto snapshot = copy_of(folder);
    write("s", 9);
    ASSERT_TRUE(back_up());
    roll_back(snapshot);
    const auto made = back_up();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->manifest.line, 2u);
    ASSERT_TRUE(made->begun);
    EXPECT_EQ(made->begun->fork, made->manifest.end);
    expect_backup_holds("", all_events());
}

TEST_F(backup_lines, two_copies_each_continue_their_own) {
    write("s", 20);
    ASSERT_TRUE(back_up());
    auto one = copy_of(folder);
    auto other = one;
    std::map<std::string, std::map<std::uint64_t, recorded_event>> expected;
    for (int round = 0; round < 3; ++round) {
        for (auto* files : {&one, &other}) {
            roll_back(*files);
            write(files == &one ? "one" : "other", 7);
            const auto made = back_up();
            ASSERT_TRUE(made) << made.error().message;
            EXPECT_EQ(made->manifest.line, files == &one ? 1u : 2u);
            EXPECT_EQ(made->begun.has_value(), files == &other && round == 0);
            expected[name_of(made)] = all_events();
            *files = copy_of(folder);
        }
    }
    ASSERT_EQ(expected.size(), 6u);
    for (const auto& [name, events] : expected) {
        expect_backup_holds(name, events);
    }
}

TEST_F(backup_lines, copies_that_were_scavenged_differently) {
    write("s", 30);
    set_metadata("s", R"({"$maxCount":4})");
    write("t", 12);
    const auto snapshot = copy_of(folder);
    ASSERT_GT(scavenge().segments_rewritten, 0u);
    ASSERT_TRUE(back_up());
    write("t", 2);
    const auto left = back_up();
    ASSERT_TRUE(left);
    const auto before = all_events();
    roll_back(snapshot);
    set_metadata("s", R"({"$maxCount":2})");
    write("u", 8);
    ASSERT_GT(scavenge().segments_rewritten, 0u);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(made->begun);
    expect_backup_holds(name_of(left), before);
    expect_backup_holds("", all_events());
}

// The chain says the same of both copies; what a scavenge left of a segment depends on its time.
TEST_F(backup_lines, a_copy_that_was_scavenged_at_another_time) {
    write("s", 10);
    clock.advance(std::chrono::seconds(60));
    write("s", 10);
    set_metadata("s", R"({"$maxAge":90})");
    write("t", 12);
    clock.advance(std::chrono::seconds(60));
    const auto snapshot = copy_of(folder);
    clock.advance(std::chrono::seconds(60));
    const std::uint64_t removed = scavenge().events_removed;
    ASSERT_TRUE(back_up());
    clock.set(clock.now() - std::chrono::seconds(60)); // less is removed: a longer file
    roll_back(snapshot);                               // a start believes the clock
    const std::uint64_t fewer = scavenge().events_removed;
    ASSERT_GT(fewer, 0u);
    ASSERT_LT(fewer, removed);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_FALSE(made->begun);
    expect_backup_holds("", all_events());
    EXPECT_TRUE(check_backups(*target_, random)->sound());
}

TEST_F(backup_lines, an_older_epoch_that_comes_back_begins_a_new_one) {
    write("s", 20);
    ASSERT_TRUE(back_up());
    const auto lost = copy_of(folder);
    ASSERT_TRUE(restore());
    ASSERT_TRUE(open_copy());
    write("restored", 5);
    const auto restored = make_backup(copy, disk, clock, *target_);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(restored->manifest.line, 1u);
    EXPECT_FALSE(restored->begun) << "a restore is no roll back";
    reopen();
    remove_copy();
    roll_back(lost);
    write("s", 5);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->manifest.line, 2u);
    ASSERT_TRUE(made->begun);
    EXPECT_EQ(made->begun->left, name_of(restored));
    expect_backup_holds("", all_events());
}

TEST_F(backup_lines, a_prune_keeps_the_newest_of_each_and_drops_one_when_told) {
    write("s", 20);
    const auto snapshot = copy_of(folder);
    for (int i = 0; i < 3; ++i) {
        write("s", 2);
        ASSERT_TRUE(back_up());
    }
    roll_back(snapshot);
    for (int i = 0; i < 3; ++i) {
        write("other", 3);
        ASSERT_TRUE(back_up());
    }
    const auto pruned = prune_backups(*target_, clock, {.keep = 2, .grace = {}});
    ASSERT_TRUE(pruned) << pruned.error().message;
    EXPECT_EQ(pruned->backups_removed, 2u);
    expect_good_ones_restore();
    std::vector<std::uint32_t> lines;
    for (const backup_entry& entry : *list_backups(*target_)) {
        EXPECT_TRUE(entry.good());
        lines.push_back(entry.place().line);
    }
    EXPECT_EQ(lines, (std::vector<std::uint32_t>{1, 1, 2, 2}));
    EXPECT_EQ(prune_backups(*target_, clock, {.dropped_line = 3}).error().field, "line");
    const auto dropped =
        prune_backups(*target_, clock, {.keep = 9, .grace = {}, .dropped_line = 1});
    ASSERT_TRUE(dropped) << dropped.error().message;
    EXPECT_EQ(dropped->backups_removed, 2u);
    EXPECT_GT(dropped->blobs_removed, 0u);
    EXPECT_EQ(prune_backups(*target_, clock, {.dropped_line = 2}).error().field, "line");
    expect_backup_holds("", all_events());
}

TEST_F(backup_lines, a_prune_counts_only_those_that_can_be_restored) {
    write("s", 20);
    const auto snapshot = copy_of(folder);
    ASSERT_TRUE(back_up());
    write("s", 5);
    const auto sound = back_up();
    ASSERT_TRUE(sound);
    const auto before = all_events();
    write("s", 5);
    const auto broken = back_up();
    ASSERT_TRUE(broken);
    const std::string piece = broken->manifest.segments.back().pieces.back().blob();
    ASSERT_TRUE(disk.remove("/backup/" + piece));
    ASSERT_FALSE(list_backups(*target_)->back().good());

    const auto pruned = prune_backups(*target_, clock, {.keep = 1, .grace = {}});
    ASSERT_TRUE(pruned) << pruned.error().message;
    EXPECT_EQ(pruned->backups_removed, 1u);
    expect_backup_holds(name_of(sound), before);

    roll_back(snapshot);
    write("other", 5);
    const auto other = back_up();
    ASSERT_TRUE(other);
    ASSERT_EQ(other->manifest.line, 2u);
    ASSERT_TRUE(disk.remove("/backup/" + other->manifest.segments.back().pieces.back().blob()));
    const auto refused = prune_backups(*target_, clock, {.grace = {}, .dropped_line = 1});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().field, "line");
    expect_backup_holds(name_of(sound), before);
}

TEST_F(backup_lines, names_say_where_a_backup_stands) {
    for (const backup_place place : {backup_place{1, 1, {5021}}, backup_place{2, 7, {1}},
                                     backup_place{31, 4'000'000'000u, {1ull << 52u}}}) {
        const std::string name = place.blob().substr(std::string("manifests/").size());
        EXPECT_EQ(backup_place::parse(name), place) << name;
    }
    for (const char* other :
         {"", "x.json", "0000000001-00000000000000005021", "0000000001-00000000000000005021.jso",
          "0000000001-00000000000000005021-line1.json", "0000000001-00000000000000005021-line.json",
          "0000000001-00000000000000005021-line02.json", "000000001-000000000000000005021.json"}) {
        EXPECT_FALSE(backup_place::parse(other)) << other;
    }
    EXPECT_EQ(backup_place::parse("0000000001-00000000000000005021.json"),
              (backup_place{1, 1, {5021}}));
}

// A target that the first released version made is listed, checked, restored and gone on with.
TEST_F(backup_lines, backups_of_version_1_are_continued) {
    const std::filesystem::path fixtures(IMMORTAL_EVENTLOG_FIXTURES);
    open_.reset();
    for (const std::string& name : disk.list(folder).value()) {
        ASSERT_TRUE(disk.remove(std::string(folder) + "/" + name));
    }
    for (const auto& entry : std::filesystem::directory_iterator(fixtures / "v1")) {
        disk.set_contents(std::string(folder) + "/" + entry.path().filename().string(),
                          read_file(entry.path()));
    }
    for (const char* kind : {"blobs", "manifests"}) {
        for (const auto& entry :
             std::filesystem::directory_iterator(fixtures / "backup_v1" / kind)) {
            disk.set_contents("/backup/" + std::string(kind) + "/" +
                                  entry.path().filename().string(),
                              read_file(entry.path()));
        }
    }
    const auto old = list_backups(*target_);
    ASSERT_TRUE(old);
    ASSERT_EQ(old->size(), 1u);
    ASSERT_TRUE(old->front().good());
    EXPECT_EQ(old->front().manifest->version, 1u);
    EXPECT_TRUE(check_backups(*target_, random)->sound());
    settings.segment_size = 2048;
    reopen();
    const auto before = all_events();
    ASSERT_EQ(before.size(), 21u);
    write("s", 6);
    const auto made = back_up();
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->manifest.version, backup_manifest::version_now);
    EXPECT_EQ(made->manifest.line, 1u);
    EXPECT_FALSE(made->begun);
    EXPECT_EQ(made->bytes_new, open_->head().end.value - old->front().manifest->end.value);
    expect_backup_holds("", all_events());
    expect_backup_holds(old->front().name, before);
    EXPECT_TRUE(check_backups(*target_, random)->sound());
}

} // namespace
} // namespace immortal::eventlog
