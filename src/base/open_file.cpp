#include "base/open_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace immortal::base {
namespace {

bool is_regular(const char* path, int flags) {
    struct stat facts{};
    const int links = (flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
    return ::fstatat(AT_FDCWD, path, &facts, links) == 0 && S_ISREG(facts.st_mode);
}

} // namespace

int open_file(const char* path, int flags, mode_t mode) {
    int waiting = O_NONBLOCK;
    for (;;) {
        const int number = ::open(path, flags | waiting | O_CLOEXEC | O_NOCTTY, mode);
        if (number >= 0 || (errno != EINTR && errno != EWOULDBLOCK)) {
            return number;
        }
        // Of a regular file this says that the end of a lease would have to be waited for.
        if (errno == EWOULDBLOCK) {
            if (waiting == 0 || !is_regular(path, flags)) {
                errno = EWOULDBLOCK;
                return number;
            }
            waiting = 0;
        }
    }
}

} // namespace immortal::base
