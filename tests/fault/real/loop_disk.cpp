#include "real/loop_disk.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace immortal::faults {
namespace {

namespace fs = std::filesystem;

constexpr unsigned long shutdown_call = _IOR('X', 125, std::uint32_t); // XFS's, and ext4's
constexpr std::uint32_t no_log_flush = 2;

std::string why(const std::string& what) {
    return what + ": " + std::generic_category().message(errno);
}

std::string run(const std::vector<const char*>& command) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int quiet = ::open("/dev/null", O_RDWR);
        ::dup2(quiet, 1);
        ::dup2(quiet, 2);
        ::execvp(command[0], const_cast<char**>(command.data()));
        _exit(127);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        return std::string(command[0]) + " is not installed";
    }
    return status == 0 ? std::string() : std::string(command[0]) + " failed";
}

// Once: mounts made from here on are seen by this process and its children only.
std::string enter_own_namespace() {
    static const std::string problem = [] {
        if (::geteuid() != 0) {
            return std::string("it needs root, to mount a file system");
        }
        if (::unshare(CLONE_NEWNS) != 0) {
            return why("no mount namespace of its own");
        }
        return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0
                   ? std::string()
                   : why("mounts cannot be made private");
    }();
    return problem;
}

} // namespace

std::string_view name_of(loop_disk::kind what) {
    switch (what) {
    case loop_disk::kind::xfs:
        return "xfs";
    case loop_disk::kind::ext4:
        return "ext4";
    case loop_disk::kind::tmpfs:
        return "tmpfs";
    }
    return "";
}

std::expected<std::unique_ptr<loop_disk>, std::string> loop_disk::make(kind what,
                                                                       std::uint64_t bytes) {
    if (const std::string problem = enter_own_namespace(); !problem.empty()) {
        return std::unexpected(problem);
    }
    std::unique_ptr<loop_disk> out(new loop_disk);
    out->what_ = what;
    if (const std::string problem = out->prepare(bytes); !problem.empty()) {
        return std::unexpected(problem);
    }
    return out;
}

std::string loop_disk::prepare(std::uint64_t bytes) {
    // In memory if possible: what is cut off is the file system's, not the medium's.
    const fs::path base = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : fs::temp_directory_path();
    std::string pattern = (base / "immortal-disk-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
        return why("no temporary folder");
    }
    root_ = pattern;
    folder_ = root_ + "/mounted";
    image_ = root_ + "/image";
    fs::create_directory(folder_);
    if (what_ == kind::tmpfs) {
        const std::string size = "size=" + std::to_string(bytes);
        mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, size.c_str()) == 0;
        return mounted_ ? std::string() : why("tmpfs cannot be mounted");
    }
    const int image = ::open(image_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (image < 0 || ::ftruncate(image, static_cast<off_t>(bytes)) != 0) {
        return why("no file for the disk");
    }
    ::close(image);
    std::string problem = what_ == kind::xfs
                              ? run({"mkfs.xfs", "-q", "-f", image_.c_str(), nullptr})
                              : run({"mkfs.ext4", "-q", "-F", image_.c_str(), nullptr});
    problem = problem.empty() ? attach() : problem;
    problem = problem.empty() ? mount() : problem;
    mounted_ = problem.empty();
    return problem;
}

std::string loop_disk::attach() {
    const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    const int image = ::open(image_.c_str(), O_RDWR | O_CLOEXEC);
    std::string problem = control < 0 ? why("no loop devices") : std::string();
    for (int attempt = 0; problem.empty() && attempt < 20; ++attempt) {
        const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
        device_ = "/dev/loop" + std::to_string(number);
        device_fd_ = number < 0 ? -1 : ::open(device_.c_str(), O_RDWR | O_CLOEXEC);
        if (device_fd_ < 0) {
            problem = why("no free loop device");
        } else if (::ioctl(device_fd_, LOOP_SET_FD, image) == 0) {
            break;
        } else { // another program took it first
            ::close(std::exchange(device_fd_, -1));
        }
    }
    ::close(image);
    ::close(control);
    if (problem.empty() && device_fd_ < 0) {
        problem = "no free loop device";
    }
    if (problem.empty()) {
        // It is given back when the last one closes it, however this process ends.
        loop_info64 info{};
        info.lo_flags = LO_FLAGS_AUTOCLEAR;
        ::ioctl(device_fd_, LOOP_SET_STATUS64, &info);
    }
    return problem;
}

std::string loop_disk::mount() const {
    return ::mount(device_.c_str(), folder_.c_str(), name_of(what_).data(), 0, nullptr) == 0
               ? std::string()
               : why(std::string(name_of(what_)) + " cannot be mounted");
}

void loop_disk::cut_power() {
    const int fd = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    std::uint32_t how = no_log_flush;
    if (fd < 0 || ::ioctl(fd, shutdown_call, &how) != 0) {
        std::cerr << why("the power of the test disk cannot be cut") << "\n";
        std::abort();
    }
    ::close(fd);
}

void loop_disk::power_on() {
    if (::umount2(folder_.c_str(), 0) != 0) {
        std::cerr << why("the test disk is in use") << "\n";
        std::abort();
    }
    if (const std::string problem = mount(); !problem.empty()) {
        std::cerr << problem << "\n";
        std::abort();
    }
}

loop_disk::~loop_disk() {
    if (mounted_) {
        ::umount2(folder_.c_str(), MNT_DETACH);
    }
    if (device_fd_ >= 0) {
        ::close(device_fd_);
    }
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

} // namespace immortal::faults
