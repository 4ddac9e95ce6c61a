#include "cache/redis_process.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <spawn.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace immortal::cache::testing {

namespace {

// True as soon as the server answers: while it loads a dump it answers something else.
bool answers(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    bool ok = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    if (ok) {
        const std::string ping = "PING\r\n";
        char reply[5] = {};
        ok = ::write(fd, ping.data(), ping.size()) == static_cast<ssize_t>(ping.size()) &&
             ::read(fd, reply, sizeof(reply)) == sizeof(reply) && reply[1] == 'P';
    }
    ::close(fd);
    return ok;
}

} // namespace

redis_process::redis_process() {
    std::string name = "/tmp/imc.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::runtime_error("mkdtemp");
    }
    folder_ = name;
    start();
}

redis_process::~redis_process() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void redis_process::start() {
    const std::string socket = folder_ + "/redis.sock";
    const std::string log = folder_ + "/redis.log";
    std::vector<std::string> arguments{"redis-server",
                                       "--port",
                                       "0",
                                       "--unixsocket",
                                       socket,
                                       "--dir",
                                       folder_,
                                       "--save",
                                       "",
                                       "--appendonly",
                                       "no",
                                       "--logfile",
                                       log};
    std::vector<char*> raw;
    for (std::string& a : arguments) {
        raw.push_back(a.data());
    }
    raw.push_back(nullptr);
    if (::posix_spawnp(&pid_, "redis-server", nullptr, nullptr, raw.data(), environ) != 0) {
        throw std::runtime_error("redis-server cannot be started");
    }
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!answers(socket)) {
        if (std::chrono::steady_clock::now() > give_up) {
            throw std::runtime_error("redis-server does not answer; see " + log);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void redis_process::kill() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
        std::filesystem::remove(folder_ + "/redis.sock");
    }
}

void redis_process::pause() const {
    ::kill(pid_, SIGSTOP);
}
void redis_process::resume() const {
    ::kill(pid_, SIGCONT);
}

} // namespace immortal::cache::testing
