#include "runtime/folder_lock.hpp"

#include "base/open_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace immortal::runtime {

namespace fs = std::filesystem;

namespace {

base::error unusable(const fs::path& file, const std::string& why) {
    return {base::errc::unavailable, "The file " + file.string() + " cannot be used: " + why + "."};
}

std::string words(int number) {
    return std::error_code(number, std::generic_category()).message();
}

// The folder may belong to an account that is not to be trusted with files of others: no link is
// followed or given away.
base::status own(int descriptor, const fs::path& file, const std::optional<account>& owner) {
    struct stat found{};
    if (fstat(descriptor, &found) != 0) {
        return base::fail(unusable(file, words(errno)));
    }
    if (!S_ISREG(found.st_mode) || found.st_nlink > 1) {
        return base::fail(unusable(file, "it is not a file of its own"));
    }
    if (owner && found.st_uid != owner->uid && fchown(descriptor, owner->uid, owner->gid) != 0) {
        return base::fail(unusable(file, words(errno)));
    }
    return {};
}

// False if the file was removed or replaced before it was locked.
bool bears_its_name(int descriptor, const fs::path& file) {
    struct stat locked{};
    struct stat named{};
    return fstat(descriptor, &locked) == 0 && lstat(file.c_str(), &named) == 0 &&
           locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

} // namespace

base::result<std::unique_ptr<folder_lock>> folder_lock::take(const fs::path& file,
                                                             const std::optional<account>& owner) {
    for (;;) {
        const int descriptor = base::open_file(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (descriptor < 0) {
            return base::fail(unusable(file, words(errno)));
        }
        std::unique_ptr<folder_lock> made(new folder_lock(file, descriptor)); // closes it
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
            const int number = errno;
            return number == EWOULDBLOCK ? base::fail(base::errc::already_exists,
                                                      "The file " + file.string() + " is locked.")
                                         : base::fail(unusable(file, words(number)));
        }
        if (!bears_its_name(descriptor, file)) {
            continue;
        }
        if (auto taken = own(descriptor, file, owner); !taken) {
            return base::fail(taken.error());
        }
        return made;
    }
}

folder_lock::~folder_lock() {
    close(descriptor_);
}

base::status folder_lock::write(const std::string& text) {
    // The longer of both stands there for a moment, never nothing.
    const auto size = static_cast<ssize_t>(text.size());
    if (pwrite(descriptor_, text.data(), text.size(), 0) != size ||
        ftruncate(descriptor_, size) != 0) {
        return base::fail(unusable(file_, words(errno)));
    }
    return {};
}

} // namespace immortal::runtime
