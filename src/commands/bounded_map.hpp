// A map of bounded size; the oldest entries are forgotten.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace immortal::commands {

// Thread-safe.
template <typename Key, typename Value>
class bounded_map {
public:
    explicit bounded_map(std::size_t size_max) : size_max_(size_max) {}

    [[nodiscard]] std::optional<Value> find(const Key& key) const {
        const std::lock_guard lock(mutex_);
        const auto found = values_.find(key);
        return found == values_.end() ? std::nullopt : std::optional<Value>(found->second);
    }

    // An entry that is there stays as it is.
    void remember(const Key& key, const Value& value) {
        const std::lock_guard lock(mutex_);
        if (!values_.emplace(key, value).second) {
            return;
        }
        order_.push_back(key);
        if (order_.size() > size_max_) {
            values_.erase(order_.front());
            order_.pop_front();
        }
    }

private:
    const std::size_t size_max_;
    mutable std::mutex mutex_;
    std::unordered_map<Key, Value> values_;
    std::deque<Key> order_;
};

} // namespace immortal::commands
