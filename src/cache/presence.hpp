// Who is online: online:players (sorted set by last heartbeat, in ms of Redis' clock) and
// online:<id> (lives 60 s).
#pragma once

#include "base/result.hpp"
#include "base/uuid.hpp"
#include "redis/client.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <vector>

namespace immortal::cache {

using boost::asio::awaitable;

// Presence is not derived from the log: while Redis is away nobody can be told (unavailable,
// timeout), and after it lost its data players appear again with their next heartbeat. Thread-safe.
class presence {
public:
    explicit presence(redis::client& redis) : redis_(&redis) {} // must outlive this

    awaitable<base::status> heartbeat(base::uuid player);
    awaitable<base::status> leave(base::uuid player);
    awaitable<base::result<bool>> online(base::uuid player);
    awaitable<base::result<std::uint64_t>> count();
    // Latest heartbeat first; limit 1 to 1000.
    awaitable<base::result<std::vector<base::uuid>>> list(std::uint32_t limit);

private:
    redis::client* redis_;
};

} // namespace immortal::cache
