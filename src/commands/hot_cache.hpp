// The aggregates that commands used last, in memory.
#pragma once

#include "game/home.hpp"

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace immortal::commands {

// Least recently used go first. Thread-safe; what a pointer leads to is not: who uses an aggregate
// holds the lock of its stream.
template <typename State>
class hot_cache {
public:
    using pointer = std::shared_ptr<game::home<State>>;

    hot_cache(std::size_t count_max, std::size_t bytes_max)
        : count_max_(count_max), bytes_max_(bytes_max) {}

    // Null if it is not here.
    [[nodiscard]] pointer find(const std::string& stream) {
        const std::lock_guard lock(mutex_);
        const auto found = index_.find(stream);
        if (found == index_.end()) {
            return nullptr;
        }
        order_.splice(order_.begin(), order_, found->second);
        return found->second->home;
    }

    // Adds it, or takes note of what it weighs now.
    void put(const std::string& stream, pointer home) {
        const std::size_t weight = weight_of(*home);
        const std::lock_guard lock(mutex_);
        if (const auto found = index_.find(stream); found != index_.end()) {
            bytes_ += weight - found->second->weight;
            found->second->weight = weight;
            found->second->home = std::move(home);
            order_.splice(order_.begin(), order_, found->second);
        } else {
            order_.push_front({stream, std::move(home), weight});
            index_.emplace(stream, order_.begin());
            bytes_ += weight;
        }
        while (order_.size() > 1 && (order_.size() > count_max_ || bytes_ > bytes_max_)) {
            erase(std::prev(order_.end()));
        }
    }

    void drop(const std::string& stream) {
        const std::lock_guard lock(mutex_);
        if (const auto found = index_.find(stream); found != index_.end()) {
            erase(found->second);
        }
    }

    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return order_.size();
    }

private:
    struct entry {
        std::string stream;
        pointer home;
        std::size_t weight;
    };
    using place = typename std::list<entry>::iterator;

    // State with its texts, list node and index entry: about a kilobyte.
    static std::size_t weight_of(const game::home<State>& home) {
        return 1024 + home.commands.memory();
    }
    void erase(place at) {
        bytes_ -= at->weight;
        index_.erase(at->stream);
        order_.erase(at);
    }

    const std::size_t count_max_;
    const std::size_t bytes_max_;
    mutable std::mutex mutex_;
    std::list<entry> order_; // the last used first
    std::unordered_map<std::string, place> index_;
    std::size_t bytes_ = 0;
};

} // namespace immortal::commands
