// A bound on the memory that unfinished requests of all calls hold together.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace immortal::esdb {

// Thread-safe. Shares may outlive it: the event store keeps that of an append which was answered at
// its deadline until it has dropped the events (eventstore::append_terms::charge).
class byte_budget {
public:
    explicit byte_budget(std::size_t bytes_max)
        : left_(std::make_shared<std::atomic<std::size_t>>(bytes_max)) {}

    // What one request holds; gives it back when it ends.
    class share {
    public:
        explicit share(const byte_budget& budget) : left_(budget.left_) {}
        share(const share&) = delete;
        share& operator=(const share&) = delete;
        ~share() { left_->fetch_add(held_); }

        // False: there is no room, and nothing changes.
        [[nodiscard]] bool grow(std::size_t bytes) {
            std::size_t left = left_->load();
            do {
                if (left < bytes) {
                    return false;
                }
            } while (!left_->compare_exchange_weak(left, left - bytes));
            held_ += bytes;
            return true;
        }
        [[nodiscard]] std::size_t held() const { return held_; }

    private:
        std::shared_ptr<std::atomic<std::size_t>> left_;
        std::size_t held_ = 0;
    };

    [[nodiscard]] std::size_t left() const { return left_->load(); }

private:
    std::shared_ptr<std::atomic<std::size_t>> left_; // of all
};

} // namespace immortal::esdb
