// Short-lived data of the service itself (one-time codes, upload tickets): temp:<name>. Written
// around the in-process level, straight to Redis.
#pragma once

#include "base/result.hpp"
#include "cache/cache_class.hpp"
#include "redis/client.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>

namespace immortal::cache {

// Losing Redis loses the data: never the only copy of anything. Errors: unavailable, timeout.
// Thread-safe.
class temp_data {
public:
    explicit temp_data(redis::client& redis) : redis_(&redis) {} // must outlive this

    boost::asio::awaitable<base::status> put(std::string name, std::string value,
                                             milliseconds ttl = classes::temp_data.ttl);
    boost::asio::awaitable<base::result<std::optional<std::string>>> get(std::string name);
    // Reads and removes at once: of several takers one gets it.
    boost::asio::awaitable<base::result<std::optional<std::string>>> take(std::string name);

private:
    redis::client* redis_;
};

} // namespace immortal::cache
