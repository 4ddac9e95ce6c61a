// Preloaded into a process (LD_PRELOAD): syncs of files below FAULT_STALL_FOLDER wait while the
// file FAULT_STALL_WHILE exists, and with FAULT_STALL_READS reads do so too.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>
#include <unistd.h>

namespace {

void wait_while_stalled(int fd) {
    static const char* const folder = std::getenv("FAULT_STALL_FOLDER");
    static const char* const sign = std::getenv("FAULT_STALL_WHILE");
    if (folder == nullptr || sign == nullptr || ::access(sign, F_OK) != 0) {
        return;
    }
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    char path[4096];
    const ssize_t size = ::readlink(link.c_str(), path, sizeof path);
    const std::size_t prefix = std::strlen(folder);
    if (size < static_cast<ssize_t>(prefix) || std::strncmp(path, folder, prefix) != 0) {
        return;
    }
    while (::access(sign, F_OK) == 0) {
        ::usleep(1000);
    }
}

bool reads_stall() {
    static const bool wanted = std::getenv("FAULT_STALL_READS") != nullptr;
    return wanted;
}

int real(const char* name, int fd) {
    return reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, name))(fd);
}

} // namespace

extern "C" {

int fdatasync(int fd) {
    wait_while_stalled(fd);
    return real("fdatasync", fd);
}

int fsync(int fd) {
    wait_while_stalled(fd);
    return real("fsync", fd);
}

ssize_t read(int fd, void* bytes, size_t size) {
    if (reads_stall()) {
        wait_while_stalled(fd);
    }
    return reinterpret_cast<ssize_t (*)(int, void*, size_t)>(::dlsym(RTLD_NEXT, "read"))(fd, bytes,
                                                                                         size);
}
}
