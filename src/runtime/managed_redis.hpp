// A private Redis, run as a child: own socket, nothing on TCP, nothing on disk. Only a cache.
#pragma once

#include "base/result.hpp"
#include "runtime/guardian.hpp"
#include "runtime/supervised_process.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace immortal::runtime {

class managed_redis {
public:
    struct settings {
        std::filesystem::path data_folder =
            {}; // of the server; absolute, exists, locked by the caller
        std::filesystem::path log_folder = {}; // exists; redis.log is written there
        std::filesystem::path program = {};    // empty: redis-server is looked for
        std::size_t memory_max_mb = 256;       // then the least recently used keys go
        std::chrono::milliseconds start_limit{20'000};
        std::chrono::milliseconds probe_interval{5'000};
    };

    // `parent` outlives the object.
    managed_redis(guardian& parent, settings options);
    ~managed_redis(); // stop()
    managed_redis(const managed_redis&) = delete;
    managed_redis& operator=(const managed_redis&) = delete;

    // Ends what a former run left behind and begins to start the server. Errors: unavailable,
    // not_found, invalid_argument: a sentence for the operator.
    [[nodiscard]] base::status begin();
    // Waits until it answers. Errors: unavailable, with the reason and where its log is. From then
    // on it is restarted whenever it ends.
    [[nodiscard]] base::status wait_ready();
    void begin_stop(); // does not wait
    void stop();       // waits

    // unix:///path/to.sock, percent-encoded; after begin().
    [[nodiscard]] std::string uri() const;
    [[nodiscard]] const std::filesystem::path& folder() const; // of its socket
    [[nodiscard]] std::filesystem::path log_file() const;
    [[nodiscard]] service_status status() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::runtime
