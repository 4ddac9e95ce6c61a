// Bounds on the memory that requests hold: of one login, of one address, and of all together.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace immortal::esdb {

// Thread-safe.
class byte_account {
public:
    explicit byte_account(std::size_t bytes_max) : left_(bytes_max) {}

    // False: there is no room, and nothing changes.
    [[nodiscard]] bool take(std::size_t bytes) {
        std::size_t left = left_.load();
        do {
            if (left < bytes) {
                return false;
            }
        } while (!left_.compare_exchange_weak(left, left - bytes));
        return true;
    }
    void give_back(std::size_t bytes) { left_.fetch_add(bytes); }
    [[nodiscard]] std::size_t left() const { return left_.load(); }

    // How many wait for room here.
    void begin_wait() { waiting_.fetch_add(1); }
    void end_wait() { waiting_.fetch_sub(1); }
    [[nodiscard]] bool is_wanted() const { return waiting_.load() > 0; }

private:
    std::atomic<std::size_t> left_;
    std::atomic<std::size_t> waiting_{0};
};

using byte_accounts = std::vector<std::shared_ptr<byte_account>>;

// What one request holds, charged to several accounts at once. Shared by everybody who keeps the
// bytes: the accounts get them back when the last one lets go, on any thread, and even after the
// server is gone. Changed by one thread at a time.
class byte_charge {
public:
    explicit byte_charge(byte_accounts accounts) : accounts_(std::move(accounts)) {}
    byte_charge(const byte_charge&) = delete;
    byte_charge& operator=(const byte_charge&) = delete;
    ~byte_charge() {
        end_wait();
        give_back();
    }

    // False: an account has no room, and nothing changes.
    [[nodiscard]] bool grow(std::size_t bytes) {
        for (std::size_t i = 0; i < accounts_.size(); ++i) {
            if (!accounts_[i]->take(bytes)) {
                while (i > 0) {
                    accounts_[--i]->give_back(bytes);
                }
                return false;
            }
        }
        held_ += bytes;
        return true;
    }
    // The same, for who comes again until there is room: until then, or until give_back(), the
    // account that has none is wanted.
    [[nodiscard]] bool grow_or_wait(std::size_t bytes) {
        end_wait();
        if (grow(bytes)) {
            return true;
        }
        const auto full = std::ranges::find_if(
            accounts_, [bytes](const auto& one) { return one->left() < bytes; });
        if (full != accounts_.end()) { // else there is room by now
            wanted_ = *full;
            wanted_->begin_wait();
        }
        return false;
    }
    // All of it.
    void give_back() {
        end_wait();
        for (const auto& account : accounts_) {
            account->give_back(held_);
        }
        held_ = 0;
    }
    [[nodiscard]] std::size_t held() const { return held_; }
    // Whether somebody waits for room that this could give back.
    [[nodiscard]] bool is_wanted() const {
        return held_ > 0 &&
               std::ranges::any_of(accounts_, [](const auto& one) { return one->is_wanted(); });
    }

private:
    void end_wait() {
        if (wanted_ != nullptr) {
            wanted_->end_wait();
            wanted_.reset();
        }
    }

    byte_accounts accounts_;
    std::shared_ptr<byte_account> wanted_; // null: nothing is waited for
    std::size_t held_ = 0;
};

using shared_charge = std::shared_ptr<byte_charge>;

} // namespace immortal::esdb
