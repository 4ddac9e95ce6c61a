#include "esdb/receive_gate.hpp"

#include "base/assert.hpp"

#include <utility>

namespace immortal::esdb {

bool receive_gate::enter(visitor& one) {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(!one.waiting_);
    line& own = lines_[one.caller];
    if (free_ > 0 && own.inside < places_of_caller_) {
        --free_;
        ++own.inside;
        return true;
    }
    own.waiting.push_back(&one);
    one.place_ = std::prev(own.waiting.end());
    one.waiting_ = true;
    return false;
}

bool receive_gate::withdraw(visitor& one) {
    const std::lock_guard lock(mutex_);
    if (!one.waiting_) {
        return false;
    }
    const auto own = lines_.find(one.caller);
    own->second.waiting.erase(one.place_);
    one.waiting_ = false;
    if (own->second.inside == 0 && own->second.waiting.empty()) {
        lines_.erase(own);
    }
    return true;
}

receive_gate::visitor* receive_gate::next() {
    if (free_ == 0) {
        return nullptr;
    }
    auto candidate = lines_.upper_bound(turn_);
    for (std::size_t i = 0; i < lines_.size(); ++i, ++candidate) {
        if (candidate == lines_.end()) {
            candidate = lines_.begin();
        }
        line& own = candidate->second;
        if (own.waiting.empty() || own.inside >= places_of_caller_) {
            continue;
        }
        visitor* const first = own.waiting.front();
        own.waiting.pop_front();
        first->waiting_ = false;
        ++own.inside;
        --free_;
        turn_ = candidate->first;
        return first;
    }
    return nullptr;
}

void receive_gate::leave(const visitor& one) {
    std::function<void()> granted;
    {
        const std::lock_guard lock(mutex_);
        const auto own = lines_.find(one.caller);
        IMMORTAL_ASSERT(own != lines_.end());
        IMMORTAL_ASSERT(own->second.inside > 0);
        --own->second.inside;
        ++free_;
        visitor* const admitted = next();
        if (admitted != nullptr) {
            granted = admitted->granted; // a copy: from here on the visitor may go away
        }
        if (own->second.inside == 0 && own->second.waiting.empty()) {
            lines_.erase(own);
        }
    }
    if (granted) {
        granted();
    }
}

} // namespace immortal::esdb
