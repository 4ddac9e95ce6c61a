#include "cache/flights.hpp"

#include "base/assert.hpp"

namespace immortal::cache {

flights::place flights::join(const std::string& key_text, std::optional<base::position> after) {
    std::string name = (after ? "@" : "=") + key_text;
    const std::lock_guard lock(mutex_);
    const auto it = flights_.find(name);
    if (it == flights_.end()) {
        auto made = std::make_shared<flight>();
        made->after = after;
        flights_.emplace(name, made);
        return {*this, std::move(name), std::move(made), true};
    }
    if (after && *it->second->after > *after) {
        return {*this, std::move(name), nullptr, false};
    }
    return {*this, std::move(name), it->second, false};
}

std::size_t flights::under_way() const {
    const std::lock_guard lock(mutex_);
    return flights_.size();
}

void flights::end(const std::string& key, const std::shared_ptr<flight>& ended, outcome value) {
    {
        const std::lock_guard lock(mutex_);
        ended->value = std::move(value);
        flights_.erase(key);
    }
    ended->done.notify_all();
}

flights::place::~place() {
    if (leads_ && flight_) {
        owner_->end(key_, flight_, nullptr);
    }
}

void flights::place::finish(base::result<entry> value) {
    IMMORTAL_ASSERT(leads_ && flight_);
    owner_->end(key_, flight_, std::make_shared<const base::result<entry>>(std::move(value)));
    flight_ = nullptr;
}

boost::asio::awaitable<std::optional<flights::outcome>>
flights::place::wait(std::chrono::milliseconds limit) {
    IMMORTAL_ASSERT(!leads_ && flight_);
    // Versions begin at 0 and the one notification ends the flight.
    if (!co_await flight_->done.wait(0, limit)) {
        co_return std::nullopt;
    }
    const std::lock_guard lock(owner_->mutex_);
    co_return flight_->value;
}

} // namespace immortal::cache
