// For tests: a redis-server of one's own, to be killed, paused and started again.
#pragma once

#include <string>
#include <sys/types.h>

namespace immortal::cache::testing {

class redis_process {
public:
    redis_process();  // started, empty, on a Unix socket in a folder of its own
    ~redis_process(); // killed; the folder is removed
    redis_process(const redis_process&) = delete;
    redis_process& operator=(const redis_process&) = delete;

    [[nodiscard]] std::string uri() const { return "unix://" + folder_ + "/redis.sock"; }
    void start(); // loads the dump that the SAVE command left, if there is one
    void kill();  // SIGKILL; waits for its end
    void pause() const;
    void resume() const;

private:
    std::string folder_;
    pid_t pid_ = -1;
};

} // namespace immortal::cache::testing
