#include "base/file.hpp"
#include "base/lease_testing.hpp"
#include "base/open_file.hpp"
#include "base/small_file.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <sys/stat.h>

namespace immortal::base {
namespace {

class open_file_test : public testing::Test {
protected:
    open_file_test() {
        std::string pattern = std::filesystem::temp_directory_path() / "immortal-open-XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        path_ = folder_ + "/file";
        std::ofstream(path_) << "content";
    }
    ~open_file_test() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::string folder_;
    std::string path_;
};

TEST_F(open_file_test, who_holds_a_lease_on_a_file_is_waited_for) {
    posix_file_system files;
    const std::function<bool()> ways[] = {
        [&] { return files.open(path_, open_mode::read).has_value(); },
        [&] { return files.open(path_, open_mode::read_write).has_value(); },
        [&] { return files.lock(path_).has_value(); },
        [&] { return read_small_file(path_) == "content"; },
    };
    for (const auto& way : ways) {
        lease_holder holder(path_);
        if (!holder.held()) {
            GTEST_SKIP() << "needs leases";
        }
        EXPECT_TRUE(way());
        EXPECT_TRUE(holder.gave_up());
    }
}

TEST_F(open_file_test, the_other_end_of_a_fifo_is_not_waited_for) {
    const std::string fifo = folder_ + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_LT(open_file(fifo.c_str(), O_WRONLY), 0);
    EXPECT_EQ(errno, ENXIO);
}

} // namespace
} // namespace immortal::base
