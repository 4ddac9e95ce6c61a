// A bounded table that forgets what was used least recently. Not thread-safe.
#pragma once

#include "base/assert.hpp"

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace immortal::accounts {

template <typename Key, typename Value>
class recent_table {
public:
    // `size_max` >= 1.
    explicit recent_table(std::size_t size_max) : size_max_(size_max) {
        IMMORTAL_ASSERT(size_max >= 1);
    }

    // Null if absent; valid until the next insertion or removal.
    Value* find(const Key& key) {
        const auto found = index_.find(key);
        if (found == index_.end()) {
            return nullptr;
        }
        entries_.splice(entries_.begin(), entries_, found->second);
        return &found->second->second;
    }

    // Makes a default value if absent; valid likewise.
    Value& operator[](const Key& key) {
        if (Value* known = find(key)) {
            return *known;
        }
        if (index_.size() >= size_max_) {
            index_.erase(entries_.back().first);
            entries_.pop_back();
        }
        entries_.emplace_front(key, Value{});
        index_.emplace(key, entries_.begin());
        return entries_.front().second;
    }

    void erase(const Key& key) {
        if (const auto found = index_.find(key); found != index_.end()) {
            entries_.erase(found->second);
            index_.erase(found);
        }
    }

    [[nodiscard]] std::size_t size() const { return index_.size(); }

private:
    const std::size_t size_max_;
    std::list<std::pair<Key, Value>> entries_; // most recently used first
    std::unordered_map<Key, typename std::list<std::pair<Key, Value>>::iterator> index_;
};

} // namespace immortal::accounts
