// What a restore says after damage.
#include "app/backup_place.hpp"

#include <gtest/gtest.h>

namespace immortal::app {
namespace {

class damage_advice : public testing::Test {
protected:
    std::string add(std::uint32_t line, std::uint32_t epoch, std::uint64_t end) {
        eventlog::backup_manifest manifest;
        manifest.line = line;
        manifest.log.epoch = epoch;
        manifest.end = {end};
        manifest.events = 1;
        manifest.last_event = {end - 10};
        const std::string name = manifest.name().substr(std::string("manifests/").size());
        entries_.push_back({name, std::move(manifest), {}});
        return name;
    }
    void damage(const std::string& name) {
        for (eventlog::backup_entry& entry : entries_) {
            if (entry.name == name) {
                entry.pieces = base::fail(base::errc::not_found, "a piece is missing");
            }
        }
    }
    std::string advice(const std::string& damaged, std::optional<std::uint64_t> position = {}) {
        return advice_after_damage(place_, entries_, damaged, position);
    }
    static bool has(const std::string& text, const std::string& part) {
        return text.find(part) != std::string::npos;
    }

    std::filesystem::path place_ = "/backups/log";
    std::vector<eventlog::backup_entry> entries_;
};

TEST_F(damage_advice, names_the_newest_of_the_same_history) {
    const auto oldest = add(1, 1, 100);
    const auto older = add(1, 1, 200);
    const auto damaged = add(1, 1, 300);
    add(1, 2, 400);
    add(2, 1, 150);
    EXPECT_EQ(advice(damaged), "; then `immortal restore --from /backups/log --backup " + older +
                                   "` into the same data folder.");
    damage(older);
    EXPECT_TRUE(has(advice(damaged), "--backup " + oldest + "`")) << advice(damaged);
}

TEST_F(damage_advice, says_that_another_line_is_another_history) {
    const auto other = add(1, 1, 300);
    const auto damaged = add(2, 1, 200);
    const std::string said = advice(damaged, 100);
    EXPECT_TRUE(has(said, "of line 1")) << said;
    EXPECT_TRUE(has(said, "another history")) << said;
    EXPECT_TRUE(has(said, "--backup " + other + "`")) << said;
    EXPECT_FALSE(has(said, "--at")) << said;
}

TEST_F(damage_advice, another_epoch_of_the_same_line_comes_before_another_line) {
    const auto before_restore = add(1, 1, 300);
    const auto damaged = add(1, 2, 200);
    add(2, 2, 300);
    const std::string said = advice(damaged);
    EXPECT_TRUE(has(said, "epoch 1")) << said;
    EXPECT_TRUE(has(said, "--backup " + before_restore + "`")) << said;
}

TEST_F(damage_advice, keeps_the_position_where_a_backup_reaches_it) {
    const auto shorter = add(1, 1, 100);
    const auto damaged = add(1, 1, 300);
    EXPECT_TRUE(has(advice(damaged, 90), shorter + " --at 90`")) << advice(damaged, 90);
    const std::string said = advice(damaged, 91);
    EXPECT_TRUE(has(said, "--backup " + shorter + "`")) << said;
    EXPECT_TRUE(has(said, "ends before position 91")) << said;
    const auto longer = add(1, 1, 400);
    EXPECT_TRUE(has(advice(damaged, 91), longer + " --at 91`")) << advice(damaged, 91);
}

TEST_F(damage_advice, quotes_what_a_shell_would_split) {
    place_ = "/mnt/old disk/it's";
    add(1, 1, 100);
    const auto damaged = add(1, 1, 200);
    EXPECT_TRUE(has(advice(damaged), R"(--from '/mnt/old disk/it'\''s' )")) << advice(damaged);
}

TEST_F(damage_advice, says_when_nothing_else_is_left) {
    const auto damaged = add(1, 1, 200);
    EXPECT_TRUE(has(advice(damaged), "No other backup")) << advice(damaged);
}

} // namespace
} // namespace immortal::app
