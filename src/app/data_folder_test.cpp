#include "app/backing.hpp"
#include "app/data_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace immortal::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;
using when = data_folder::when_absent;

class data_folders : public testing::Test {
protected:
    data_folders() {
        std::string pattern = "/tmp/imt.XXXXXX";
        base_ = mkdtemp(pattern.data());
    }
    ~data_folders() override {
        std::error_code ignored;
        fs::remove_all(base_, ignored);
    }
    fs::path base_;
};

TEST_F(data_folders, is_made_with_its_parents_and_given_back) {
    const fs::path path = base_ / "a" / "b";
    {
        const auto folder = data_folder::open(path, "test", when::make).value();
        EXPECT_EQ(folder->path(), path);
        EXPECT_TRUE(fs::is_directory(folder->logs()));
    }
    EXPECT_TRUE(data_folder::open(path, "test", when::make).has_value());
}

TEST_F(data_folders, belongs_to_one_process_and_says_to_which) {
    const auto folder = data_folder::open(base_ / "d", "immortal serve", when::make).value();
    const auto second = data_folder::open(base_ / "d", "immortal check", when::make);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().reason, "in_use");
    EXPECT_THAT(second.error().message, HasSubstr((base_ / "d").string()));
    EXPECT_THAT(second.error().message,
                HasSubstr("immortal serve, process " + std::to_string(getpid())));
}

// What a guardian does: the owner is dead, its lock is held a little longer.
TEST_F(data_folders, waits_for_what_a_dead_owner_left) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t owner = fork();
    if (owner == 0) {
        auto folder =
            data_folder::open(base_ / "d", "immortal serve", when::make).value().release();
        (void)folder;
        const pid_t guardian = fork();
        if (guardian == 0) {
            usleep(300'000);
            _exit(0);
        }
        (void)!write(ready[1], &guardian, sizeof guardian);
        _exit(0);
    }
    pid_t guardian = 0;
    ASSERT_EQ(read(ready[0], &guardian, sizeof guardian), static_cast<ssize_t>(sizeof guardian));
    ASSERT_EQ(waitpid(owner, nullptr, 0), owner);
    EXPECT_TRUE(data_folder::open(base_ / "d", "test", when::make, 30s).has_value());
    close(ready[0]);
    close(ready[1]);
}

TEST_F(data_folders, that_its_events_are_in_a_remote_store_is_remembered) {
    const auto folder = data_folder::open(base_ / "d", "test", when::make).value();
    EXPECT_TRUE(data_folder::check_embedded(base_ / "d", when::make));
    EXPECT_EQ(data_folder::check_embedded(base_ / "d", when::refuse).error().code,
              base::errc::not_found);
    ASSERT_TRUE(folder->check_remote());
    ASSERT_TRUE(folder->remember_remote("esdb://far:2113"));
    ASSERT_TRUE(folder->remember_remote("esdb://farther:2113"));
    for (const auto policy : {when::make, when::refuse}) {
        const auto refused = data_folder::check_embedded(base_ / "d", policy);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, base::errc::mismatch);
        EXPECT_THAT(refused.error().message, HasSubstr("(esdb://farther:2113)"));
    }
    std::ofstream(base_ / "precious") << "text";
    fs::create_symlink(base_ / "precious", base_ / "d" / "event-store.new");
    ASSERT_TRUE(folder->remember_remote("esdb://far:2113"));
    EXPECT_EQ(fs::file_size(base_ / "precious"), 4u);
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(base_ / "d" / "event-store")));
    std::ofstream(base_ / "d" / "event-store", std::ios::trunc) << "\033[31mred\n";
    EXPECT_THAT(data_folder::check_embedded(base_ / "d", when::make).error().message,
                HasSubstr("its address is lost"));
    std::ofstream(base_ / "d" / "event-store", std::ios::trunc).close();
    EXPECT_FALSE(data_folder::check_embedded(base_ / "d", when::make)) << "also without an address";
    fs::create_directories(folder->events());
    std::ofstream(folder->events() / "log-000000.seg") << "something";
    EXPECT_TRUE(folder->check_remote()) << "what an older version made there is left alone";
}

// Nothing is said of a store elsewhere, or of a folder without data.
TEST_F(data_folders, one_that_cannot_be_looked_into_says_why) {
    fs::create_directory_symlink("loop", base_ / "loop");
    const auto refused = data_folder::check_embedded(base_ / "loop", when::make);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message, "The data folder " + (base_ / "loop").string() +
                                           " cannot be used: Too many levels of symbolic links.");
    EXPECT_EQ(refused.error().code, base::errc::unavailable);
    const auto unopened = data_folder::open(base_ / "loop", "test", when::refuse);
    EXPECT_EQ(unopened.error().message, refused.error().message);

    const auto folder = data_folder::open(base_ / "d", "test", when::make).value();
    fs::create_symlink("event-store", base_ / "d" / "event-store");
    EXPECT_EQ(data_folder::check_embedded(base_ / "d", when::make).error().code,
              base::errc::unavailable);
    EXPECT_TRUE(folder->check_remote()) << "nothing is left behind here";
    fs::create_directories(folder->events());
    std::ofstream(folder->events() / "log-000000.seg") << "something";
    EXPECT_EQ(folder->check_remote().error().code, base::errc::unavailable);
    EXPECT_TRUE(folder->remember_remote("esdb://far:2113"));
    EXPECT_TRUE(folder->check_remote());
}

TEST_F(data_folders, a_foreign_one_says_that_it_is_not_permitted) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "needs root";
    }
    fs::permissions(base_, fs::perms(0711));
    for (const bool closed : {true, false}) {
        const fs::path path = base_ / (closed ? "closed" : "open");
        fs::create_directory(path);
        std::ofstream(path / "event-store") << "esdb://far:2113\n";
        fs::permissions(path / "event-store", fs::perms(0600));
        fs::permissions(path, fs::perms(closed ? 0700 : 0711));
        const pid_t other = fork();
        if (other == 0) {
            bool good = setuid(65'534) == 0;
            const auto refused = data_folder::check_embedded(path, when::make);
            good = good && !refused && refused.error().code == base::errc::unavailable &&
                   refused.error().message.ends_with(": Permission denied.");
            const auto unopened = data_folder::open(path, "test", when::refuse);
            _exit(good && (!closed || unopened.error().code == base::errc::unavailable) ? 0 : 1);
        }
        int status = -1;
        ASSERT_EQ(waitpid(other, &status, 0), other);
        EXPECT_EQ(status, 0) << path;
    }
}

TEST_F(data_folders, a_log_in_it_is_not_left_for_a_remote_store) {
    const auto folder = data_folder::open(base_ / "d", "test", when::make).value();
    fs::create_directories(folder->events());
    std::ofstream(folder->events() / "log-000000.seg") << "something";
    EXPECT_TRUE(data_folder::check_embedded(base_ / "d", when::refuse));
    const auto refused = folder->check_remote();
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr(folder->events().string()));
}

TEST_F(data_folders, tools_refuse_a_folder_without_data) {
    const auto none = data_folder::open(base_ / "d", "immortal check", when::refuse);
    EXPECT_EQ(none.error().code, base::errc::not_found);
    EXPECT_FALSE(fs::exists(base_ / "d"));
}

TEST_F(data_folders, a_file_in_the_way_is_named) {
    {
        std::ofstream(base_ / "file") << "x";
    }
    const auto refused = data_folder::open(base_ / "file" / "d", "test", when::make);
    EXPECT_THAT(refused.error().message, HasSubstr((base_ / "file" / "d").string()));
}

TEST_F(data_folders, names_that_others_cannot_be_given_are_refused) {
    for (const char* bad : {"two\nlines", "tab\there", "not-utf8-\xff", "\x7f"}) {
        const auto refused = data_folder::open(base_ / bad, "test", when::make);
        ASSERT_FALSE(refused) << bad;
        EXPECT_EQ(refused.error().code, base::errc::invalid_argument) << bad;
        EXPECT_FALSE(fs::exists(base_ / bad)) << bad;
    }
    for (const char* good : {"李", "a b", "it's \"so\"", "-x", "#", "100%", "a\\b"}) {
        EXPECT_TRUE(data_folder::open(base_ / good, "test", when::make).has_value()) << good;
    }
}

TEST_F(data_folders, paths_become_absolute) {
    EXPECT_EQ(data_folder::absolute("/a/../b/./c/"), "/b/c");
    EXPECT_EQ(data_folder::absolute("x"), fs::current_path() / "x");
}

TEST(addresses, are_shown_without_their_password) {
    EXPECT_EQ(without_password("postgresql://li:secret@db:5432/game"),
              "postgresql://li@db:5432/game");
    EXPECT_EQ(without_password("redis://:secret@cache:6379/0"), "redis://@cache:6379/0");
    EXPECT_EQ(without_password("postgresql://db/game?user=li&password=secret"),
              "postgresql://db/game");
    EXPECT_EQ(without_password("postgresql://li:se/cr@t@db/x"), "postgresql://li@db/x");
    EXPECT_EQ(without_password("unix:///run/redis.sock"), "unix:///run/redis.sock");
    EXPECT_EQ(without_password("host=db user=li"), "host=db user=li");
    EXPECT_EQ(without_password("host=db password=secret").find("secret"), std::string::npos);
}

} // namespace
} // namespace immortal::app
