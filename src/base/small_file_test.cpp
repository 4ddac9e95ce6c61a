#include "base/small_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace immortal::base {
namespace {

namespace fs = std::filesystem;

class small_file_test : public testing::Test {
protected:
    small_file_test() {
        std::string pattern = fs::temp_directory_path() / "immortal-small-XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        path_ = folder_ / "file";
    }
    ~small_file_test() override {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }

    void write(const std::string& content) { std::ofstream(path_, std::ios::binary) << content; }
    static std::string refusal(const fs::path& path, std::size_t size_max = small_file_size_max) {
        const auto refused = read_small_file(path, size_max);
        return refused ? "it was read" : refused.error().message;
    }

    fs::path folder_;
    fs::path path_;
};

TEST_F(small_file_test, reads_the_whole_of_what_is_not_too_large) {
    for (const std::size_t size : {0u, 1u, 16384u, 16385u, 40000u}) {
        const std::string content(size, '\0');
        write(content);
        EXPECT_EQ(read_small_file(path_), content) << size;
        EXPECT_EQ(read_small_file(path_, size), content) << size;
        if (size > 0)
            EXPECT_EQ(refusal(path_, size - 1),
                      path_.string() + " is larger than " + std::to_string(size - 1) + " bytes");
    }
    fs::create_symlink(path_, folder_ / "link");
    EXPECT_EQ(read_small_file(folder_ / "link")->size(), 40000u);
}

TEST_F(small_file_test, the_end_counts_where_the_size_says_nothing) {
    EXPECT_NE(read_small_file("/proc/self/status")->find("Pid:"), std::string::npos);
    EXPECT_EQ(refusal("/proc/self/status", 10), "/proc/self/status is larger than 10 bytes");
}

TEST_F(small_file_test, what_is_no_regular_file_is_refused_at_once) {
    EXPECT_EQ(refusal(folder_), folder_.string() + " is a folder");
    EXPECT_EQ(refusal("/dev/zero"), "/dev/zero is not a regular file");
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_EQ(refusal(path_), path_.string() + " is not a regular file");
    const fs::path socket = folder_ / "socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(refusal(socket), socket.string() + " is not a regular file");
    ::close(listening);
}

TEST_F(small_file_test, what_cannot_be_read_says_why) {
    EXPECT_EQ(refusal(path_), path_.string() + " cannot be read: No such file or directory");
    EXPECT_EQ(read_small_file(path_).error().code, errc::not_found);
    write("x");
    ASSERT_EQ(::truncate(path_.c_str(), off_t{1} << 40), 0); // a hole
    EXPECT_EQ(refusal(path_), path_.string() + " is larger than 1 MiB");
    EXPECT_EQ(read_small_file(path_).error().code, errc::too_large);
}

} // namespace
} // namespace immortal::base
