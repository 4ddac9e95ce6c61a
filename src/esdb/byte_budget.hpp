// Bounds on the memory that requests hold: of one login, of one address, and of all together.
#pragma once

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

private:
    std::atomic<std::size_t> left_;
};

using byte_accounts = std::vector<std::shared_ptr<byte_account>>;

// What one request holds, charged to several accounts at once. Shared by everybody who keeps the
// bytes: the accounts get them back when the last one lets go, on any thread, and even after the
// server is gone. grow() is for one thread at a time.
class byte_charge {
public:
    explicit byte_charge(byte_accounts accounts) : accounts_(std::move(accounts)) {}
    byte_charge(const byte_charge&) = delete;
    byte_charge& operator=(const byte_charge&) = delete;
    ~byte_charge() {
        for (const auto& account : accounts_) {
            account->give_back(held_);
        }
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
    [[nodiscard]] std::size_t held() const { return held_; }

private:
    byte_accounts accounts_;
    std::size_t held_ = 0;
};

using shared_charge = std::shared_ptr<byte_charge>;

} // namespace immortal::esdb
