// Folders, links and errors in a folder of backups of the machine's own file system.
#include "eventlog/backup_fixture.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <unistd.h>

namespace immortal::eventlog {
namespace {

namespace fs = std::filesystem;
using base::errc;

class folder_targets : public backups {
protected:
    folder_targets() {
        std::string pattern = fs::temp_directory_path() / "immortal-target-XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        place_ = pattern;
        target_ = make_folder_target(files_, place_.string());
    }
    ~folder_targets() override {
        std::error_code ignored;
        fs::remove_all(place_, ignored);
    }

    static bool says(const base::error& problem, const std::string& text) {
        return problem.message.find(text) != std::string::npos;
    }
    // Of a backup that is made now.
    std::string back_up_more() {
        write("s", 2, 900);
        const auto made = back_up();
        EXPECT_TRUE(made) << made.error().message;
        return made ? made->manifest.name().substr(std::string("manifests/").size()) : "";
    }

    base::posix_file_system files_;
    fs::path place_;
};

constexpr const char* foreign_manifest = "0000000010-00000000000000009999.json";

TEST_F(folder_targets, that_hold_something_else_under_a_manifests_name_are_of_use) {
    for (const bool is_link : {false, true}) {
        const std::string first = back_up_more();
        const fs::path path = place_ / "manifests" / foreign_manifest;
        is_link ? fs::create_symlink(foreign_manifest, path) : (void)fs::create_directory(path);
        const auto entries = list_backups(*target_);
        ASSERT_TRUE(entries) << entries.error().message;
        ASSERT_EQ(entries->back().name, foreign_manifest);
        ASSERT_FALSE(entries->back().good());
        EXPECT_EQ(entries->back().problem().code, errc::corrupt);
        EXPECT_TRUE(says(entries->back().problem(), foreign_manifest));

        const std::string second = back_up_more();
        const auto checked = check_backups(*target_, random);
        ASSERT_TRUE(checked) << checked.error().message;
        EXPECT_EQ(checked->findings.size(), 1u);
        EXPECT_EQ(checked->restorable.front(), second);
        const auto newest = restore();
        ASSERT_FALSE(newest);
        EXPECT_EQ(newest.error().reason, "damaged_backup");
        EXPECT_TRUE(says(newest.error(), foreign_manifest));
        for (const std::string& name : {first, second}) {
            const auto restored = restore({.backup = name});
            EXPECT_TRUE(restored) << restored.error().message;
            remove_copy();
        }
        const auto pruned = prune_backups(*target_, clock, {.keep = 1, .grace = {}});
        ASSERT_FALSE(pruned) << "it may be a damaged one that is to be kept";
        EXPECT_EQ(pruned.error().code, errc::corrupt);
        EXPECT_TRUE(says(pruned.error(), foreign_manifest));
        fs::remove(path);
        EXPECT_TRUE(prune_backups(*target_, clock, {.keep = 1, .grace = {}}));
    }
}

TEST_F(folder_targets, that_hold_a_folder_under_the_name_of_an_old_manifest_are_pruned) {
    (void)back_up_more();
    const fs::path path = place_ / "manifests" / "0000000000-00000000000000000001.json";
    const fs::path unfinished = place_ / "manifests" / "x.part";
    fs::create_directory(path);
    fs::create_directory(unfinished);
    const auto pruned = prune_backups(*target_, clock, {.keep = 1, .grace = {}});
    ASSERT_TRUE(pruned) << pruned.error().message;
    EXPECT_EQ(pruned->backups_removed, 0u);
    EXPECT_TRUE(fs::exists(path) && fs::exists(unfinished));
}

TEST_F(folder_targets, that_hold_a_folder_under_a_pieces_name_say_so) {
    const std::string name = back_up_more();
    const fs::path piece = fs::directory_iterator(place_ / "blobs")->path();
    fs::remove(piece);
    fs::create_directory(piece);
    const auto entries = list_backups(*target_);
    ASSERT_TRUE(entries) << entries.error().message;
    ASSERT_FALSE(entries->front().good());
    EXPECT_TRUE(says(entries->front().problem(), piece.filename()));
    EXPECT_EQ(check_backups(*target_, random)->findings.size(), 1u);
    EXPECT_EQ(restore().error().reason, "damaged_backup");
    const auto made = back_up();
    ASSERT_FALSE(made);
    EXPECT_TRUE(says(made.error(), piece.string())) << made.error().message;
    fs::remove(piece);
    EXPECT_TRUE(back_up()) << "the lease was given back";
    EXPECT_TRUE(list_backups(*target_)->front().good());
}

TEST_F(folder_targets, that_hold_folders_under_other_names_work) {
    (void)back_up_more();
    fs::create_directories(place_ / "unneeded" / "pieces.json");
    for (const char* name : {"0000000099.json", "99999999999999999999.json", "7.json", "x"}) {
        fs::create_directory(place_ / "leases" / name);
    }
    (void)back_up_more();
    (void)back_up_more();
    const auto pruned = prune_backups(*target_, clock, {.keep = 1});
    EXPECT_TRUE(pruned) << pruned.error().message;
    fs::create_directory(place_ / "leases" / "9999999999.json");
    const auto last = prune_backups(*target_, clock, {.keep = 1});
    ASSERT_FALSE(last);
    EXPECT_TRUE(says(last.error(), "9999999999.json")) << last.error().message;
}

TEST_F(folder_targets, name_the_path_that_cannot_be_used) {
    std::ofstream(place_ / "manifests") << "no folder";
    const std::string path = (place_ / "manifests").string();
    const auto entries = list_backups(*target_);
    ASSERT_FALSE(entries);
    EXPECT_TRUE(says(entries.error(), path)) << entries.error().message;
    write("s", 2);
    const auto made = back_up();
    ASSERT_FALSE(made);
    EXPECT_TRUE(says(made.error(), path)) << made.error().message;
    const auto restored = restore();
    ASSERT_FALSE(restored);
    EXPECT_TRUE(says(restored.error(), path)) << restored.error().message;
    EXPECT_TRUE(!disk.list(copy) || disk.list(copy)->empty())
        << "nothing was made before the backups were looked at";
}

} // namespace
} // namespace immortal::eventlog
