// A file system whose syncs, and questions for free space, wait until the test lets them go on. For
// tests.
#pragma once

#include "base/file.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace immortal::eventlog {

// Everything else is that of `inner`, which outlives it. Thread-safe.
class stalling_file_system final : public base::file_system {
public:
    explicit stalling_file_system(base::file_system& inner) : inner_(inner) {}
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
        auto opened = inner_.open(path, mode);
        if (!opened) {
            return opened;
        }
        return std::make_unique<stalling_file>(*this, std::move(*opened));
    }
    base::file_status rename(const std::string& from, const std::string& to) override {
        return inner_.rename(from, to);
    }
    base::file_status remove(const std::string& path) override { return inner_.remove(path); }
    base::file_result<std::vector<std::string>> list(const std::string& folder) override {
        return inner_.list(folder);
    }
    base::file_status make_directory(const std::string& folder) override {
        return inner_.make_directory(folder);
    }
    base::file_status sync_directory(const std::string& folder) override {
        return inner_.sync_directory(folder);
    }
    base::file_result<std::uint64_t> free_space(const std::string& folder) override {
        {
            std::unique_lock lock(mutex_);
            ++space_questions_;
            changed_.notify_all();
            changed_.wait(lock, [this] { return !space_stalled_; });
        }
        return inner_.free_space(folder);
    }
    base::file_result<std::unique_ptr<base::file_lock>> lock(const std::string& path) override {
        return inner_.lock(path);
    }

private:
    class stalling_file final : public base::file {
    public:
        stalling_file(stalling_file_system& owner, std::unique_ptr<base::file> inner)
            : owner_(owner), inner_(std::move(inner)) {}
        base::file_result<std::size_t> read_at(std::uint64_t offset,
                                               std::span<std::byte> out) override {
            return inner_->read_at(offset, out);
        }
        base::file_status write_at(std::uint64_t offset,
                                   std::span<const std::byte> bytes) override {
            return inner_->write_at(offset, bytes);
        }
        base::file_status sync() override {
            owner_.wait();
            return inner_->sync();
        }
        base::file_status truncate(std::uint64_t size) override { return inner_->truncate(size); }
        base::file_result<std::uint64_t> size() override { return inner_->size(); }

    private:
        stalling_file_system& owner_;
        std::unique_ptr<base::file> inner_;
    };

    void wait() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !stalled_; });
        --waiting_;
    }

    base::file_system& inner_;
    mutable std::mutex mutex_; // guards what follows
    std::condition_variable changed_;
    bool stalled_ = false;
    bool space_stalled_ = false;
    std::size_t waiting_ = 0;
    std::size_t space_questions_ = 0;
};

} // namespace immortal::eventlog
