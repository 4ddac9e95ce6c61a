// Everything of this module that a process needs, put together: the layered cache, the
// leaderboards, locks, presence and temporary data over one Redis.
#pragma once

#include "cache/cache.hpp"
#include "cache/leaderboard.hpp"
#include "cache/lock.hpp"
#include "cache/presence.hpp"
#include "cache/temp_data.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::cache {

// Thread-safe. What the constructor is given outlives it. Leaderboards are verified whenever the
// cache's generation changes.
class service {
public:
    struct options {
        settings cache;
        std::vector<std::string> boards{"cultivation", "combat", "level", "wealth"};
        std::size_t lanes = 16; // of the leaderboards: the projector's partitions
    };
    // `redis` and `subscriber` as for layered_cache. Without Redis there are no boards, locks,
    // presence and temporary data (the pointers are null).
    service(boost::asio::any_io_executor executor, redis::client* redis,
            std::unique_ptr<redis::subscriber> subscriber, const base::clock& clock,
            base::random_source& random, base::metrics& metrics, options options);
    ~service(); // after stop()
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    void start();
    awaitable<void> stop();

    [[nodiscard]] layered_cache& values() noexcept { return *values_; }
    [[nodiscard]] leaderboard* board(std::string_view name) noexcept; // null: no such board
    [[nodiscard]] lock_manager* locks() noexcept { return locks_.get(); }
    [[nodiscard]] presence* online() noexcept { return online_.get(); }
    [[nodiscard]] temp_data* temporary() noexcept { return temporary_.get(); }

private:
    struct named_board;
    std::unique_ptr<layered_cache> values_;
    std::vector<std::unique_ptr<named_board>> boards_;
    std::unique_ptr<lock_manager> locks_;
    std::unique_ptr<presence> online_;
    std::unique_ptr<temp_data> temporary_;
};

} // namespace immortal::cache
