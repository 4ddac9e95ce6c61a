// A bound on the memory that unfinished requests of all calls hold together.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace immortal::esdb {

// Thread-safe; outlives its shares.
class byte_budget {
public:
    explicit byte_budget(std::size_t bytes_max) : left_(bytes_max) {}

    // What one request holds; gives it back when it ends.
    class share {
    public:
        explicit share(byte_budget& budget) : budget_(&budget) {}
        share(share&& other) noexcept
            : budget_(other.budget_), held_(std::exchange(other.held_, 0)) {}
        share& operator=(share&&) = delete;
        ~share() { budget_->left_.fetch_add(held_); }

        // False: there is no room, and nothing changes.
        [[nodiscard]] bool grow(std::size_t bytes) {
            std::size_t left = budget_->left_.load();
            do {
                if (left < bytes) {
                    return false;
                }
            } while (!budget_->left_.compare_exchange_weak(left, left - bytes));
            held_ += bytes;
            return true;
        }
        [[nodiscard]] std::size_t held() const { return held_; }

    private:
        byte_budget* budget_;
        std::size_t held_ = 0;
    };

    [[nodiscard]] std::size_t left() const { return left_.load(); }

private:
    std::atomic<std::size_t> left_;
};

} // namespace immortal::esdb
