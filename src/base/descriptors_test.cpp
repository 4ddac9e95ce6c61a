#include "base/descriptors.hpp"
#include "base/descriptors_testing.hpp"
#include "base/file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <sys/resource.h>
#include <unistd.h>

namespace immortal::base {
namespace {

// A process of few descriptors, for the time of a test.
class few_descriptors {
public:
    explicit few_descriptors(rlim_t count) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit few = before_;
        few.rlim_cur = count;
        ::setrlimit(RLIMIT_NOFILE, &few);
    }
    ~few_descriptors() {
        for (const int number : taken_) {
            ::close(number);
        }
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }
    few_descriptors(const few_descriptors&) = delete;
    few_descriptors& operator=(const few_descriptors&) = delete;

    void take_all() {
        for (int number = ::dup(0); number >= 0; number = ::dup(0)) {
            taken_.push_back(number);
        }
    }
    void give_back(std::size_t count) {
        for (; count > 0 && !taken_.empty(); --count) {
            ::close(taken_.back());
            taken_.pop_back();
        }
    }

private:
    rlimit before_{};
    std::vector<int> taken_;
};

TEST(descriptors, the_limit_is_raised_to_the_hard_one) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit lower = before;
    lower.rlim_cur = 64;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
    const auto raised = raise_descriptor_limit();
    EXPECT_EQ(raised.before, 64u);
    EXPECT_EQ(raised.now, before.rlim_max);
    EXPECT_EQ(raised.hard, before.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(descriptors, the_reserve_opens_files_when_nothing_else_can) {
    SKIP_WHERE_CHECKS_NEED_DESCRIPTORS();
    const auto folder = std::filesystem::temp_directory_path() /
                        ("immortal-descriptors-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    few_descriptors few(64);
    descriptor_reserve reserve(3);
    EXPECT_TRUE(reserve.is_whole());
    few.take_all();
    posix_file_system plain;
    const auto refused = plain.open(folder / "a", open_mode::create_new);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().what, file_error::kind::too_many_open);
    EXPECT_EQ(to_error(refused.error()).code, errc::unavailable);
    posix_file_system files(reserve);
    std::vector<std::unique_ptr<file>> open;
    for (const char* name : {"a", "b", "c"}) {
        auto opened = files.open(folder / name, open_mode::create_new);
        ASSERT_TRUE(opened) << opened.error().text;
        open.push_back(std::move(*opened));
    }
    EXPECT_FALSE(files.open(folder / "d", open_mode::create_new));
    EXPECT_EQ(reserve.held(), 0u);
    EXPECT_FALSE(reserve.is_whole());
    few.give_back(3);
    EXPECT_TRUE(reserve.is_whole()) << "what becomes free is taken back first";
    few.give_back(60);
    std::filesystem::remove_all(folder);
}

} // namespace
} // namespace immortal::base
