// A thread that does one piece of work at a time for one other thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace immortal::eventlog {

// All calls come from the one thread that owns it.
class helper_thread {
public:
    helper_thread() : thread_([this] { run(); }) {}
    ~helper_thread() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            changed_.notify_all();
        }
        thread_.join();
    }
    helper_thread(const helper_thread&) = delete;
    helper_thread& operator=(const helper_thread&) = delete;

    // Waits for the work before. What `work` uses is not touched until wait() returns.
    void start(std::function<void()> work) {
        wait();
        const std::lock_guard lock(mutex_);
        work_ = std::move(work);
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !work_; });
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [&] { return work_ || stopping_; });
            if (!work_) {
                return;
            }
            lock.unlock();
            work_(); // changed by this thread alone until it is empty again
            lock.lock();
            work_ = nullptr;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> work_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace immortal::eventlog
