// Preloaded into a process (LD_PRELOAD): its nth call to the disk fails.
//
// IMMORTAL_FAIL_CALL = N:ERRNO:HOW, for example 17:EIO:once. ERRNO: EIO, ENOSPC, EDQUOT, EINTR, or
// SHORT (a write that takes half of its bytes and says so). HOW: once or sticky. Counted are
// pwrite, fdatasync, fsync, ftruncate and rename on files below IMMORTAL_FAIL_FOLDER.
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>
#include <unistd.h>

namespace {

struct plan {
    long at = 0;
    int error = 0; // 0: short
    bool sticky = false;
    std::string folder;
};

const plan& the_plan() {
    static const plan made = [] {
        plan out;
        const char* text = std::getenv("IMMORTAL_FAIL_CALL");
        const char* folder = std::getenv("IMMORTAL_FAIL_FOLDER");
        if (text == nullptr || folder == nullptr) {
            return out;
        }
        const std::string all = text;
        const std::size_t first = all.find(':');
        const std::size_t second = all.find(':', first + 1);
        const std::string name = all.substr(first + 1, second - first - 1);
        out.at = std::strtol(text, nullptr, 10);
        out.error = name == "EIO"      ? EIO
                    : name == "ENOSPC" ? ENOSPC
                    : name == "EDQUOT" ? EDQUOT
                    : name == "EINTR"  ? EINTR
                                       : 0;
        out.sticky = all.substr(second + 1) == "sticky";
        out.folder = folder;
        return out;
    }();
    return made;
}

// Whether this call is to fail.
bool is_due(int fd) {
    const plan& of = the_plan();
    if (of.at == 0) {
        return false;
    }
    if (fd >= 0) {
        char link[64];
        char path[4096];
        std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const ssize_t size = ::readlink(link, path, sizeof path - 1);
        if (size <= 0 || std::strncmp(path, of.folder.c_str(), of.folder.size()) != 0) {
            return false;
        }
    }
    static std::atomic<long> calls{0};
    const long now = ++calls;
    return now == of.at || (of.sticky && now > of.at);
}

template <typename Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

int fail() {
    errno = the_plan().error;
    return -1;
}

} // namespace

extern "C" {

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
    static const auto next = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
    if (!is_due(fd)) {
        return next(fd, bytes, size, at);
    }
    return the_plan().error == 0 ? next(fd, bytes, size > 1 ? size / 2 : size, at) : fail();
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t at) {
    return pwrite(fd, bytes, size, at);
}

int fdatasync(int fd) {
    static const auto next = real<int (*)(int)>("fdatasync");
    return is_due(fd) && the_plan().error != 0 ? fail() : next(fd);
}

int fsync(int fd) {
    static const auto next = real<int (*)(int)>("fsync");
    return is_due(fd) && the_plan().error != 0 ? fail() : next(fd);
}

int ftruncate(int fd, off_t size) noexcept {
    static const auto next = real<int (*)(int, off_t)>("ftruncate");
    return is_due(fd) && the_plan().error != 0 ? fail() : next(fd, size);
}

int rename(const char* from, const char* to) noexcept {
    static const auto next = real<int (*)(const char*, const char*)>("rename");
    const plan& of = the_plan();
    const bool ours = std::strncmp(from, of.folder.c_str(), of.folder.size()) == 0;
    return ours && is_due(-1) && of.error != 0 ? fail() : next(from, to);
}
}
