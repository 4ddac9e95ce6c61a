// What a backup reads of the others to find where the log went another way, and what happens where
// it cannot.
#include "eventlog/backup_fixture.hpp"

namespace immortal::eventlog {
namespace {

using base::errc;

class backup_fork : public backups {
protected:
    // A backup, and a log that has gone another way since before it.
    void leave_history() {
        write("s", 20);
        const auto snapshot = copy_of(folder);
        write("s", 25);
        ASSERT_TRUE(back_up());
        roll_back(snapshot);
        write("other", 30);
    }
};

// Bytes of another history that cannot be read end no backup, for whatever reason they cannot.
TEST_F(backup_fork, a_fork_that_cannot_be_read_ends_no_backup) {
    leave_history();
    piece_reads watched(*target_);
    watched.failure = base::error{errc::unavailable, "input/output error"};
    const auto made = make_backup(folder, disk, clock, watched);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_GT(watched.pieces, 0u);
    EXPECT_EQ(made->manifest.line, 2u);
    ASSERT_TRUE(made->begun);
    EXPECT_FALSE(made->begun->is_exact);
    expect_backup_holds("", all_events());
}

TEST_F(backup_fork, a_lease_that_is_lost_while_the_fork_is_looked_for_ends_the_backup) {
    leave_history();
    piece_reads watched(*target_);
    watched.act = [&] {
        for (const std::string& path : blob_paths(disk, "leases")) {
            ASSERT_TRUE(disk.remove(path));
        }
        clock.advance(std::chrono::hours(2));
    };
    watched.failure = base::error{errc::unavailable, "input/output error"};
    const auto made = make_backup(folder, disk, clock, watched);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().reason, "lease_lost");
    EXPECT_EQ(list_backups(*target_)->size(), 1u);
}

// Two copies of one log, of whose segments no two have the same header.
class differently_scavenged : public backup_fork {
protected:
    void SetUp() override {
        backup_fork::SetUp();
        for (int round = 0; round < 60; ++round) {
            write("one", 4, 300);
            write("two", 4, 300);
        }
        fork_ = open_->head().end;
        const auto snapshot = copy_of(folder);
        set_metadata("one", R"({"$maxCount":1})");
        write("three", 30, 300);
        ASSERT_GT(scavenge().segments_rewritten, 50u);
        for (int round = 0; round < 3; ++round) {
            ASSERT_TRUE(back_up());
            write("three", 30, 300);
        }
        segments_ = list_backups(*target_)->back().manifest->segments.size();
        roll_back(snapshot);
        set_metadata("two", R"({"$maxCount":1})");
        write("four", 30, 300);
        ASSERT_GT(scavenge().segments_rewritten, 50u);
    }

    base::position fork_;
    std::size_t segments_ = 0;
};

TEST_F(differently_scavenged, few_pieces_are_read_to_find_the_fork) {
    piece_reads watched(*target_);
    const auto made = make_backup(folder, disk, clock, watched);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(made->begun);
    EXPECT_EQ(made->begun->fork, fork_);
    EXPECT_TRUE(made->begun->is_exact);
    ASSERT_GT(segments_, 64u);
    EXPECT_LE(watched.pieces, 14u) << "of " << segments_ << " segments";
    expect_backup_holds("", all_events());
}

TEST_F(differently_scavenged, no_piece_is_read_twice_where_the_fork_stays_unknown) {
    const auto entries = list_backups(*target_);
    for (const backup_entry& entry : *entries) { // the segment in which they part
        for (const backup_segment& segment : entry.manifest->segments) {
            if (segment.first_position <= fork_.value &&
                segment.first_position + segment.logical_size > fork_.value) {
                (void)disk.remove("/backup/" + segment.pieces.front().blob());
            }
        }
    }
    piece_reads watched(*target_);
    const auto made = make_backup(folder, disk, clock, watched);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(made->begun);
    EXPECT_FALSE(made->begun->is_exact);
    EXPECT_LE(watched.pieces, 14u) << "of " << entries->size() << " backups";
}

TEST_F(differently_scavenged, what_is_read_to_find_the_fork_is_bounded) {
    piece_reads watched(*target_);
    backup_options options;
    options.fork_bytes_max = 8192; // a few segments
    const auto made = make_backup(folder, disk, clock, watched, options);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(made->begun);
    EXPECT_FALSE(made->begun->is_exact);
    ASSERT_TRUE(made->begun->fork);
    EXPECT_LE(*made->begun->fork, fork_);
    EXPECT_GT(watched.bytes, 0u);
    EXPECT_LE(watched.bytes, options.fork_bytes_max);
    expect_backup_holds("", all_events());
}

} // namespace
} // namespace immortal::eventlog
