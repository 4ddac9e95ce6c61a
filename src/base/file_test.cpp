#include "base/file.hpp"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace immortal::base {
namespace {

class posix_file_test : public testing::Test {
protected:
    posix_file_test() {
        std::string pattern = std::filesystem::temp_directory_path() / "immortal-file-XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    ~posix_file_test() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::string folder_;
    posix_file_system files_;
};

TEST_F(posix_file_test, a_fifo_is_not_waited_for_and_cannot_be_read) {
    const std::string path = folder_ + "/fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const auto opened = files_.open(path, open_mode::read);
    ASSERT_TRUE(opened);
    std::array<std::byte, 1> byte{};
    EXPECT_FALSE((*opened)->read_at(0, byte));
}

TEST_F(posix_file_test, what_is_no_file_is_said_to_be_none) {
    const std::string sub_folder = folder_ + "/folder";
    const std::string loop = folder_ + "/loop";
    ASSERT_TRUE(files_.make_directory(sub_folder));
    std::filesystem::create_symlink(loop, loop);
    const auto is_none = [](const auto& outcome) {
        return !outcome && outcome.error().what == file_error::kind::not_a_file;
    };
    const auto opened = files_.open(sub_folder, open_mode::read);
    ASSERT_TRUE(opened);
    std::array<std::byte, 1> byte{};
    EXPECT_TRUE(is_none((*opened)->read_at(0, byte)));
    EXPECT_TRUE(is_none((*opened)->size()));
    EXPECT_TRUE(is_none(files_.open(loop, open_mode::read)));
    EXPECT_TRUE(is_none(files_.remove(sub_folder)));
    ASSERT_TRUE(files_.open(folder_ + "/file", open_mode::create_new));
    EXPECT_TRUE(is_none(files_.rename(folder_ + "/file", sub_folder)));
}

struct free_pages {
    void operator()(std::byte* pages) const {
        ::operator delete(pages, std::align_val_t{disk_page});
    }
};

// Bytes that change from place to place, at an address that lies `shift` after a page's begin.
class pattern {
public:
    pattern(std::size_t size, std::size_t shift, unsigned seed)
        : pages_(static_cast<std::byte*>(
              ::operator new(size + shift + disk_page, std::align_val_t{disk_page}))),
          bytes_(pages_.get() + shift, size) {
        for (std::size_t i = 0; i < size; ++i) {
            bytes_[i] = static_cast<std::byte>((i * 131 + i / 4096 + seed) & 0xffu);
        }
    }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
    std::unique_ptr<std::byte, free_pages> pages_;
    std::span<std::byte> bytes_;
};

// Group after group, as the log is written: each begins where the one before ended. What is read
// is what was written, whether the file's pages were in memory before or not.
TEST_F(posix_file_test, uncached_and_usual_writes_make_one_file) {
    const auto file = files_.open(folder_ + "/one", open_mode::create_new).value();
    std::vector<std::byte> expected;
    unsigned seed = 0;
    for (const std::size_t size : {1u, 4095u, 8192u, 300'000u, 17u, 4096u, 12'289u, 100'000u}) {
        for (const bool uncached : {true, false, true}) {
            const pattern next(size, expected.size() % disk_page, ++seed);
            const auto put = uncached ? file->write_uncached_at(expected.size(), next.bytes())
                                      : file->write_at(expected.size(), next.bytes());
            ASSERT_TRUE(put) << put.error().text;
            expected.insert(expected.end(), next.bytes().begin(), next.bytes().end());
            std::vector<std::byte> found(expected.size() + 1);
            ASSERT_EQ(file->read_at(0, found).value(), expected.size());
            found.pop_back();
            ASSERT_TRUE(found == expected) << size;
        }
    }
    EXPECT_TRUE(file->sync());
    EXPECT_EQ(file->size().value(), expected.size());
    // Over what is there already.
    const pattern other(200'000, 0, 77);
    ASSERT_TRUE(file->write_uncached_at(disk_page, other.bytes()));
    std::vector<std::byte> found(200'000);
    ASSERT_EQ(file->read_at(disk_page, found).value(), found.size());
    EXPECT_TRUE(std::ranges::equal(found, other.bytes()));
}

TEST_F(posix_file_test, bytes_that_lie_otherwise_in_memory_are_written_as_well) {
    const auto file = files_.open(folder_ + "/one", open_mode::create_new).value();
    const pattern bytes(50'000, 13, 1);
    ASSERT_TRUE(file->write_uncached_at(100, bytes.bytes()));
    std::vector<std::byte> found(50'000);
    ASSERT_EQ(file->read_at(100, found).value(), found.size());
    EXPECT_TRUE(std::ranges::equal(found, bytes.bytes()));
}

// A file that was renamed since it was opened, as a new segment is.
TEST_F(posix_file_test, uncached_writes_go_to_the_open_file_whatever_its_name) {
    const auto file = files_.open(folder_ + "/one", open_mode::create_new).value();
    ASSERT_TRUE(files_.rename(folder_ + "/one", folder_ + "/two"));
    const auto other = files_.open(folder_ + "/one", open_mode::create_new).value();
    const pattern bytes(disk_page * 2, 0, 1);
    ASSERT_TRUE(file->write_uncached_at(0, bytes.bytes()));
    EXPECT_EQ(file->size().value(), disk_page * 2);
    EXPECT_EQ(other->size().value(), 0u);
}

TEST_F(posix_file_test, a_file_system_that_does_not_tell_its_size_is_not_full) {
    EXPECT_GT(files_.free_space("/proc").value(), std::uint64_t{1} << 60u);
    EXPECT_LT(files_.free_space(folder_).value(), std::uint64_t{1} << 60u);
}

// In a process of its own: a limit that is lowered for good stays.
TEST_F(posix_file_test, a_file_that_may_not_grow_has_no_space_and_stays_as_it_was) {
    const pid_t pid = fork();
    if (pid == 0) {
        (void)std::signal(SIGXFSZ, SIG_IGN);
        const std::array<std::byte, 100> bytes{};
        auto opened = files_.open(folder_ + "/a", open_mode::create_new);
        bool good = opened && (*opened)->write_at(0, bytes);
        const rlimit limit{100, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &limit);
        const auto refused = (*opened)->write_at(100, bytes);
        good = good && !refused && refused.error().what == file_error::kind::no_space;
        good = good && (*opened)->size() == 100u && (*opened)->truncate(50);
        const rlimit former{RLIM_INFINITY, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &former);
        _exit(good && (*opened)->write_at(100, bytes) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace immortal::base
