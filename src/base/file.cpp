#include "base/file.hpp"

#include "base/descriptors.hpp"
#include "base/open_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace immortal::base {
namespace {

file_error::kind kind_of(int number) {
    switch (number) {
    case ENOENT:
        return file_error::kind::not_found;
    case EEXIST:
        return file_error::kind::exists;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: // RLIMIT_FSIZE, which may be raised again
        return file_error::kind::no_space;
    case EACCES:
    case EPERM:
    case EROFS:
        return file_error::kind::denied;
    case EWOULDBLOCK:
        return file_error::kind::in_use;
    case EMFILE:
    case ENFILE:
        return file_error::kind::too_many_open;
    case EISDIR:
    case ELOOP:
    case ENXIO:
        return file_error::kind::not_a_file;
    default:
        return file_error::kind::io;
    }
}

std::unexpected<file_error> failed(std::string_view operation, const std::string& path,
                                   int number) {
    std::string text(operation);
    text += ' ';
    text += path;
    text += ": ";
    text += std::generic_category().message(number);
    return std::unexpected(file_error{kind_of(number), std::move(text)});
}

class descriptor {
public:
    explicit descriptor(int number) : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&&) = delete;
    ~descriptor() {
        if (number_ >= 0) {
            ::close(number_);
        }
    }
    [[nodiscard]] int get() const { return number_; }

private:
    int number_;
};

int open_retrying(const char* path, int flags, descriptor_reserve* reserve = nullptr) {
    for (;;) {
        const int number = open_file(path, flags);
        if (number >= 0) {
            return number;
        }
        const int failure = errno;
        const bool scarce = failure == EMFILE || failure == ENFILE;
        if (!(scarce && reserve != nullptr && reserve->give_one())) {
            errno = failure;
            return number;
        }
    }
}

// Of a file system that does not tell: enough for every purpose, and small enough to be added to.
constexpr std::uint64_t free_space_unknown = std::numeric_limits<std::uint64_t>::max() / 2;

class posix_file final : public file {
public:
    posix_file(descriptor opened, std::string path)
        : descriptor_(std::move(opened)), path_(std::move(path)) {}

    file_result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        std::size_t done = 0;
        while (done < out.size()) {
            const ssize_t got = ::pread(descriptor_.get(), out.data() + done, out.size() - done,
                                        static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got < 0) {
                return failed("read", path_, errno);
            }
            if (got == 0) {
                break;
            }
            done += static_cast<std::size_t>(got);
        }
        return done;
    }

    file_status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
        return written(write_all(descriptor_.get(), offset, bytes));
    }

    // Whole pages past the page cache; what is left at both ends shares its page with other bytes.
    file_status write_uncached_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
        const std::size_t head =
            std::min((disk_page - offset % disk_page) % disk_page, bytes.size());
        const std::size_t whole = (bytes.size() - head) / disk_page * disk_page;
        const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
        if (whole == 0 || address % disk_page != offset % disk_page || !open_uncached()) {
            return write_at(offset, bytes);
        }
        if (auto done = write_at(offset, bytes.first(head)); !done) {
            return done;
        }
        const int failure = write_all(uncached_->get(), offset + head, bytes.subspan(head, whole));
        if (failure == EINVAL) { // this file system wants it otherwise
            uncached_.emplace(-1);
            return write_at(offset, bytes);
        }
        if (failure != 0) {
            return written(failure);
        }
        return write_at(offset + head + whole, bytes.subspan(head + whole));
    }

    file_status sync() override {
        // Not retried, not even after EINTR: a second call could report success for pages that the
        // first one lost.
        return ::fdatasync(descriptor_.get()) == 0 ? file_status{} : failed("sync", path_, errno);
    }

    file_status truncate(std::uint64_t size) override {
        return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)) == 0
                   ? file_status{}
                   : failed("truncate", path_, errno);
    }

    file_status allocate(std::uint64_t size) override {
        int failure = EINTR;
        while (failure == EINTR) {
            failure = ::posix_fallocate(descriptor_.get(), 0, static_cast<off_t>(size));
        }
        return failure == 0 ? file_status{} : failed("allocate", path_, failure);
    }

    file_result<std::uint64_t> size() override {
        struct stat facts{};
        if (::fstat(descriptor_.get(), &facts) != 0) {
            return failed("stat", path_, errno);
        }
        if (S_ISDIR(facts.st_mode)) {
            return failed("read", path_, EISDIR);
        }
        return static_cast<std::uint64_t>(facts.st_size);
    }

private:
    // 0, or the number of the error.
    static int write_all(int to, std::uint64_t offset, std::span<const std::byte> bytes) {
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t put = ::pwrite(to, bytes.data() + done, bytes.size() - done,
                                         static_cast<off_t>(offset + done));
            if (put < 0 && errno == EINTR) {
                continue;
            }
            if (put <= 0) {
                return put < 0 ? errno : ENOSPC;
            }
            done += static_cast<std::size_t>(put);
        }
        return 0;
    }
    [[nodiscard]] file_status written(int failure) const {
        return failure == 0 ? file_status{} : failed("write", path_, failure);
    }

    // By the descriptor: the name may be another one by now. tmpfs and others refuse.
    bool open_uncached() {
        if (!uncached_) {
            const std::string self = "/proc/self/fd/" + std::to_string(descriptor_.get());
            uncached_.emplace(open_retrying(self.c_str(), O_WRONLY | O_DIRECT));
        }
        return uncached_->get() >= 0;
    }

    descriptor descriptor_;
    std::optional<descriptor> uncached_; // of the thread that writes; -1: there is none
    std::string path_;
};

class posix_lock final : public file_lock {
public:
    explicit posix_lock(descriptor held) : held_(std::move(held)) {}

private:
    descriptor held_;
};

} // namespace

file_status file::allocate(std::uint64_t size) {
    const auto present = this->size();
    if (!present) {
        return std::unexpected(present.error());
    }
    return *present >= size ? file_status{} : truncate(size);
}

error to_error(const file_error& e) {
    switch (e.what) {
    case file_error::kind::not_found:
        return {errc::not_found, "a file that is needed does not exist"};
    case file_error::kind::exists:
        return {errc::already_exists, "the file exists already"};
    case file_error::kind::no_space:
        return {errc::exhausted, "the disk is full: free some space", "disk_full"};
    case file_error::kind::denied:
        return {errc::forbidden, "the data folder may not be read or written by this user"};
    case file_error::kind::in_use:
        return {errc::already_exists, "the data folder is in use by another process", "in_use"};
    case file_error::kind::too_many_open:
        return {errc::unavailable,
                "the server has too many files and connections open: try again a little later, or "
                "raise its limit of open files",
                "too_many_open_files"};
    case file_error::kind::not_a_file:
    case file_error::kind::io:
        break;
    }
    return {errc::unavailable, "a file could not be read or written", "io_error"};
}

file_result<std::unique_ptr<file>> posix_file_system::open(const std::string& path,
                                                           open_mode mode) {
    int flags = O_RDONLY;
    if (mode == open_mode::read_write) {
        flags = O_RDWR;
    } else if (mode == open_mode::create_new) {
        flags = O_RDWR | O_CREAT | O_EXCL;
    }
    descriptor opened(open_retrying(path.c_str(), flags, reserve_));
    if (opened.get() < 0) {
        return failed("open", path, errno);
    }
    return std::make_unique<posix_file>(std::move(opened), path);
}

void posix_file_system::restore_reserve() {
    if (reserve_ != nullptr) {
        static_cast<void>(reserve_->is_whole());
    }
}

file_status posix_file_system::rename(const std::string& from, const std::string& to) {
    return ::rename(from.c_str(), to.c_str()) == 0 ? file_status{} : failed("rename", from, errno);
}

file_status posix_file_system::remove(const std::string& path) {
    return ::unlink(path.c_str()) == 0 ? file_status{} : failed("remove", path, errno);
}

file_result<std::vector<std::string>> posix_file_system::list(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code problem;
    std::filesystem::directory_iterator at(folder, problem);
    for (; !problem && at != std::filesystem::directory_iterator(); at.increment(problem)) {
        names.push_back(at->path().filename().string());
    }
    if (problem) {
        return failed("list", folder, problem.value());
    }
    std::ranges::sort(names);
    return names;
}

file_status posix_file_system::make_directory(const std::string& folder) {
    const std::filesystem::path path(folder);
    std::error_code problem;
    if (std::filesystem::is_directory(path, problem)) {
        return {};
    }
    const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
    if (parent != folder) {
        if (auto made = make_directory(parent); !made) {
            return made;
        }
    }
    if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) {
        return failed("make folder", folder, errno);
    }
    return sync_directory(parent);
}

file_status posix_file_system::sync_directory(const std::string& folder) {
    const descriptor opened(open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY, reserve_));
    if (opened.get() < 0 || ::fsync(opened.get()) != 0) {
        return failed("sync folder", folder, errno);
    }
    return {};
}

file_result<std::uint64_t> posix_file_system::free_space(const std::string& folder) {
    struct statvfs facts{};
    if (::statvfs(folder.c_str(), &facts) != 0) {
        return failed("ask free space of", folder, errno);
    }
    if (facts.f_blocks == 0) {
        return free_space_unknown;
    }
    return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

file_result<std::unique_ptr<file_lock>> posix_file_system::lock(const std::string& path) {
    descriptor opened(open_retrying(path.c_str(), O_RDWR | O_CREAT, reserve_));
    if (opened.get() < 0) {
        return failed("open", path, errno);
    }
    if (::flock(opened.get(), LOCK_EX | LOCK_NB) != 0) {
        return failed("lock", path, errno);
    }
    return std::make_unique<posix_lock>(std::move(opened));
}

} // namespace immortal::base
