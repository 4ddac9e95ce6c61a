// For tests with a file that another process holds a lease on, as file servers do.
#pragma once

#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace immortal::base {

// A process that has a write lease on the file and gives it up as soon as somebody wants the file.
class lease_holder {
public:
    explicit lease_holder(const std::string& path) {
        int ends[2];
        if (::pipe(ends) != 0) {
            return;
        }
        pid_ = ::fork();
        if (pid_ == 0) {
            hold(path.c_str(), ends[1]);
        }
        ::close(ends[1]);
        char ready = 0;
        held_ = ::read(ends[0], &ready, 1) == 1;
        ::close(ends[0]);
    }
    ~lease_holder() { static_cast<void>(gave_up()); }
    lease_holder(const lease_holder&) = delete;
    lease_holder& operator=(const lease_holder&) = delete;

    // False: this file system knows no leases.
    [[nodiscard]] bool held() const { return held_; }
    // Waits for its end. Whether it was asked for the file.
    [[nodiscard]] bool gave_up() {
        int status = -1;
        if (pid_ > 0) {
            ::waitpid(pid_, &status, 0);
            pid_ = -1;
        }
        return status == 0;
    }

private:
    [[noreturn]] static void hold(const char* path, int report) {
        sigset_t wanted;
        sigemptyset(&wanted);
        sigaddset(&wanted, SIGIO);
        sigprocmask(SIG_BLOCK, &wanted, nullptr);
        const int file = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (::fcntl(file, F_SETLEASE, F_WRLCK) != 0) {
            _exit(1);
        }
        static_cast<void>(!::write(report, "x", 1));
        const timespec limit{.tv_sec = 60, .tv_nsec = 0};
        const bool wanted_by_others = sigtimedwait(&wanted, nullptr, &limit) == SIGIO;
        ::fcntl(file, F_SETLEASE, F_UNLCK);
        _exit(wanted_by_others ? 0 : 1);
    }

    pid_t pid_ = -1;
    bool held_ = false;
};

} // namespace immortal::base
