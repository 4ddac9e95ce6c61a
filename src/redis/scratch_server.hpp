// For tests: a Redis server of its own that may be killed, stopped and started again.
#pragma once

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace immortal::redis {

class scratch_server {
public:
    explicit scratch_server(std::vector<std::string> options = {}) : options_(std::move(options)) {
        char name[] = "/tmp/imr.XXXXXX"; // socket paths are short
        if (::mkdtemp(name) == nullptr) {
            throw std::runtime_error("cannot make a folder");
        }
        folder_ = name;
        start();
    }
    ~scratch_server() {
        kill();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    scratch_server(const scratch_server&) = delete;
    scratch_server& operator=(const scratch_server&) = delete;

    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] std::string uri() const { return "unix://" + socket(); }

    void start() {
        std::vector<std::string> words{
            "redis-server", "--unixsocket", socket(),    "--dir",         folder_, "--save", "",
            "--appendonly", "no",           "--logfile", folder_ + "/log"};
        if (options_.empty()) {
            words.insert(words.end(), {"--port", "0"});
        }
        words.insert(words.end(), options_.begin(), options_.end());
        std::vector<char*> arguments;
        for (auto& word : words) {
            arguments.push_back(word.data());
        }
        arguments.push_back(nullptr);
        if (::posix_spawnp(&pid_, "redis-server", nullptr, nullptr, arguments.data(), environ) !=
            0) {
            throw std::runtime_error("cannot start redis-server");
        }
        while (!std::filesystem::exists(socket())) {
            if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
                pid_ = 0;
                throw std::runtime_error("redis-server ended at once");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
    void kill() {
        if (pid_ != 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = 0;
            ::unlink(socket().c_str());
        }
    }
    void pause() const { ::kill(pid_, SIGSTOP); }
    void resume() const { ::kill(pid_, SIGCONT); }

private:
    [[nodiscard]] std::string socket() const { return folder_ + "/redis.sock"; }

    std::vector<std::string> options_;
    std::string folder_;
    pid_t pid_ = 0;
};

} // namespace immortal::redis
