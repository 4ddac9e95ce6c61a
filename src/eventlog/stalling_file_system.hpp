// A file system whose syncs, and questions for free space, wait until the test lets them go on. For
// tests.
#pragma once

#include "base/forwarding_files_testing.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace immortal::eventlog {

// Everything else is that of `inner`, which outlives it. Thread-safe.
class stalling_file_system final : public base::forwarding_file_system {
public:
    explicit stalling_file_system(base::file_system& inner) : forwarding_file_system(inner) {}
    ~stalling_file_system() override {
        release();
        release_space();
    }

    // From now on every sync waits.
    void stall() {
        const std::lock_guard lock(mutex_);
        stalled_ = true;
    }
    void release() {
        const std::lock_guard lock(mutex_);
        stalled_ = false;
        changed_.notify_all();
    }
    // Until a sync waits.
    void await_stalled() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_ > 0; });
    }

    // From now on every question for free space waits: a writer that asks stands still before it
    // stages what it has taken.
    void stall_space() {
        const std::lock_guard lock(mutex_);
        space_stalled_ = true;
    }
    void release_space() {
        const std::lock_guard lock(mutex_);
        space_stalled_ = false;
        changed_.notify_all();
    }
    [[nodiscard]] std::size_t space_questions() const {
        const std::lock_guard lock(mutex_);
        return space_questions_;
    }
    // Until so many were asked in all.
    void await_space_questions(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return space_questions_ >= count; });
    }

    base::file_result<std::unique_ptr<base::file>> open(const std::string& path,
                                                        base::open_mode mode) override {
        auto opened = forwarding_file_system::open(path, mode);
        if (!opened) {
            return opened;
        }
        return std::make_unique<stalling_file>(*this, std::move(*opened));
    }
    base::file_result<std::uint64_t> free_space(const std::string& folder) override {
        {
            std::unique_lock lock(mutex_);
            ++space_questions_;
            changed_.notify_all();
            changed_.wait(lock, [this] { return !space_stalled_; });
        }
        return forwarding_file_system::free_space(folder);
    }

private:
    class stalling_file final : public base::forwarding_file {
    public:
        stalling_file(stalling_file_system& owner, std::unique_ptr<base::file> inner)
            : forwarding_file(std::move(inner)), owner_(owner) {}
        base::file_status sync() override {
            owner_.wait();
            return forwarding_file::sync();
        }

    private:
        stalling_file_system& owner_;
    };

    void wait() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !stalled_; });
        --waiting_;
    }

    mutable std::mutex mutex_; // guards what follows
    std::condition_variable changed_;
    bool stalled_ = false;
    bool space_stalled_ = false;
    std::size_t waiting_ = 0;
    std::size_t space_questions_ = 0;
};

} // namespace immortal::eventlog
