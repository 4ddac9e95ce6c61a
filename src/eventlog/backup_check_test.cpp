// Backups that are checked without being restored.
#include "eventlog/backup_fixture.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::errc;

class backup_checks : public backups {
protected:
    // Several backups, of plain and scavenged segments, on two lines.
    void SetUp() override {
        backups::SetUp();
        write("s", 30);
        ASSERT_TRUE(back_up());
        const auto snapshot = copy_of(folder);
        set_metadata("s", R"({"$maxCount":4})");
        write("t", 15);
        ASSERT_TRUE(back_up());
        (void)scavenge();
        write("t", 2);
        ASSERT_TRUE(back_up());
        roll_back(snapshot);
        write("u", 9);
        ASSERT_TRUE(back_up());
        ASSERT_EQ(list_backups(*target_)->back().place().line, 2u);
    }
    backup_check_report check(const backup_check_options& options = {}) {
        auto report = check_backups(*target_, random, options);
        EXPECT_TRUE(report) << report.error().message;
        return report ? std::move(*report) : backup_check_report{};
    }
};

TEST_F(backup_checks, read_every_piece_once_and_find_nothing) {
    std::uint64_t calls = 0;
    backup_progress last;
    const auto report = check({.progress = [&](const backup_progress& now) {
        ++calls;
        EXPECT_GE(now.bytes_done, last.bytes_done);
        last = now;
        return true;
    }});
    EXPECT_TRUE(report.sound()) << report.findings.front();
    EXPECT_EQ(report.backups, 4u);
    EXPECT_EQ(report.pieces, blob_paths(disk, "blobs").size());
    EXPECT_EQ(report.pieces_read, report.pieces);
    EXPECT_EQ(calls, report.pieces);
    EXPECT_EQ(last.bytes_done, last.bytes_total);
    EXPECT_EQ(last.bytes_done, report.bytes_read);
}

TEST_F(backup_checks, name_every_flipped_bit_and_missing_piece) {
    std::vector<std::string> paths = blob_paths(disk, "blobs");
    std::ranges::copy(blob_paths(disk, "manifests"), std::back_inserter(paths));
    for (const std::string& path : paths) {
        const std::string good = disk.contents(path);
        const std::string name = path.substr(path.rfind('/') + 1);
        const auto is_named = [&](const backup_check_report& report) {
            return std::ranges::any_of(report.findings, [&](const std::string& finding) {
                return finding.find(name) != std::string::npos;
            });
        };
        for (const std::uint64_t offset : {std::uint64_t{0}, good.size() / 2, good.size() - 1}) {
            disk.flip_bit(path, offset, 2);
            EXPECT_TRUE(is_named(check())) << path << " at " << offset;
            disk.set_contents(path, good);
        }
        disk.set_contents(path, good.substr(0, good.size() / 2));
        EXPECT_TRUE(is_named(check())) << path << " cut";
        if (path.find("blobs/") != std::string::npos) {
            const backup_sample one{.pieces = 1};
            EXPECT_TRUE(is_named(check({.sample = one}))) << "sizes are looked at in any case";
            ASSERT_TRUE(disk.remove(path));
            const auto report = check();
            EXPECT_TRUE(is_named(report)) << path << " missing";
            EXPECT_EQ(report.pieces_read, report.pieces - 1) << "the others are read";
            EXPECT_TRUE(is_named(check({.sample = one})));
            const auto entries = list_backups(*target_);
            EXPECT_FALSE(std::ranges::all_of(*entries, &backup_entry::good));
        }
        disk.set_contents(path, good);
    }
    EXPECT_TRUE(check().sound());
}

// Every piece is what its name says, and yet no log.
TEST_F(backup_checks, follow_the_chain) {
    const auto entries = list_backups(*target_);
    for (const backup_entry& entry : *entries) {
        const std::string path = "/backup/manifests/" + entry.name;
        const std::string good = disk.contents(path);
        const auto with = [&](const std::function<void(backup_manifest&)>& change) {
            backup_manifest manifest = *entry.manifest;
            change(manifest);
            disk.set_contents(path, to_text(manifest));
            ASSERT_TRUE(parse_manifest("manifests/" + entry.name, disk.contents(path)));
            const auto report = check({.backup = entry.name});
            ASSERT_EQ(report.findings.size(), 1u) << entry.name;
            EXPECT_NE(report.findings.front().find("does not hold together"), std::string::npos);
            restore_options options;
            options.backup = entry.name;
            EXPECT_FALSE(restore(options));
            remove_copy();
            disk.set_contents(path, good);
        };
        with([](backup_manifest& one) { one.chain[7] ^= 1; });
        with([](backup_manifest& one) { ++one.events; });
        with([&](backup_manifest& one) {
            backup_piece& piece = one.segments[0].pieces.front();
            std::string bytes = disk.contents("/backup/" + piece.blob());
            bytes[bytes.size() / 2] ^= 4;
            piece.sha256 = sha256_hex(std::as_bytes(std::span(bytes)));
            disk.set_contents("/backup/" + piece.blob(), bytes);
        });
        EXPECT_TRUE(check().sound());
    }
}

TEST_F(backup_checks, read_as_many_as_they_are_told) {
    const std::uint64_t all = blob_paths(disk, "blobs").size();
    EXPECT_EQ(check({.sample = backup_sample{.pieces = 3}}).pieces_read, 3u);
    EXPECT_EQ(check({.sample = backup_sample{.pieces = all + 9}}).pieces_read, all);
    EXPECT_EQ(check({.sample = backup_sample{.percent = 100}}).pieces_read, all);
    EXPECT_EQ(check({.sample = backup_sample{.percent = 1}}).pieces_read, 1u);
    EXPECT_EQ(check({.sample = backup_sample{.percent = 50}}).pieces_read, (all + 1) / 2);
    const auto stopped =
        check_backups(*target_, random, {.progress = [](const backup_progress&) { return false; }});
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, errc::cancelled);
    EXPECT_EQ(check_backups(*target_, random, {.backup = "none"}).error().code, errc::not_found);
    EXPECT_EQ(check({.backup = list_backups(*target_)->front().name}).backups, 1u);
}

} // namespace
} // namespace immortal::eventlog
