#include "api/connection_table.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::api {

bool connection_table::is_proxy(const source_address& source) const {
    return std::ranges::find(limits_.proxies, source.text) != limits_.proxies.end();
}

connection_table::verdict connection_table::admit(const std::shared_ptr<connection>& one,
                                                  const source_address& source) {
    const std::lock_guard lock(mutex_);
    if (closed_) {
        return verdict::closed;
    }
    if (all_.size() >= limits_.total) {
        return verdict::full;
    }
    if (!is_proxy(source)) {
        std::size_t& of_source = per_source_[source.group];
        if (of_source >= limits_.per_source) {
            return verdict::source_full;
        }
        ++of_source;
    }
    all_.emplace(one.get(), one);
    return verdict::admitted;
}

void connection_table::remove(connection& one, const source_address& source) {
    const std::lock_guard lock(mutex_);
    if (all_.erase(&one) == 0 || is_proxy(source)) {
        return;
    }
    const auto found = per_source_.find(source.group);
    if (found != per_source_.end() && --found->second == 0) {
        per_source_.erase(found);
    }
}

void connection_table::expire_overdue(std::chrono::steady_clock::time_point now) {
    const std::lock_guard lock(mutex_);
    for (const auto& [one, owner] : all_) {
        if (one->overdue(now)) {
            if (const auto held = owner.lock()) {
                held->expire();
            }
        }
    }
}

void connection_table::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& [one, owner] : all_) {
        if (const auto held = owner.lock()) {
            held->wind_down();
        }
    }
}

void connection_table::drop_all() {
    const std::lock_guard lock(mutex_);
    for (const auto& [one, owner] : all_) {
        if (const auto held = owner.lock()) {
            held->drop();
        }
    }
}

std::size_t connection_table::size() const {
    const std::lock_guard lock(mutex_);
    return all_.size();
}

} // namespace immortal::api
