#include "cache/service.hpp"

#include <algorithm>

namespace immortal::cache {

struct service::named_board {
    std::string name;
    leaderboard board;
};

service::service(boost::asio::any_io_executor executor, redis::client* redis,
                 std::unique_ptr<redis::subscriber> subscriber, const base::clock& clock,
                 base::random_source& random, base::metrics& metrics, options options)
    : values_(std::make_unique<layered_cache>(executor, redis, std::move(subscriber), clock, random,
                                              metrics, options.cache)) {
    if (redis == nullptr) {
        return;
    }
    for (const std::string& name : options.boards) {
        boards_.push_back(std::unique_ptr<named_board>(new named_board{
            name,
            leaderboard(*redis, random, metrics,
                        {name, options.cache.identity, options.lanes, options.cache.lease})}));
        leaderboard* board = &boards_.back()->board;
        values_->on_generation_change([board] { return board->verify(); });
    }
    locks_ = std::make_unique<lock_manager>(executor, *redis, clock, random);
    online_ = std::make_unique<presence>(*redis);
    temporary_ = std::make_unique<temp_data>(*redis);
}

service::~service() = default;

void service::start() {
    values_->start();
}

awaitable<void> service::stop() {
    return values_->stop();
}

leaderboard* service::board(std::string_view name) noexcept {
    const auto it = std::ranges::find_if(boards_, [&](const auto& b) { return b->name == name; });
    return it == boards_.end() ? nullptr : &(*it)->board;
}

} // namespace immortal::cache
