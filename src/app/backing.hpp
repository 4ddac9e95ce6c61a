// The PostgreSQL and the Redis of a process: its own children, or given by address.
#pragma once

#include "app/data_folder.hpp"
#include "app/settings.hpp"
#include "base/result.hpp"
#include "runtime/guardian.hpp"
#include "runtime/resource_check.hpp"
#include "runtime/supervised_process.hpp"

#include <memory>
#include <string>
#include <vector>

namespace immortal::runtime {
class managed_postgres;
class managed_redis;
} // namespace immortal::runtime

namespace immortal::app {

// What an operator is told of one service.
struct service_line {
    std::string name;  // "PostgreSQL"
    std::string how;   // "managed, process 123", "given"
    std::string where; // its folder, or its address without a password
};

class backing {
public:
    // All outlive it. `redis_wanted`: for tools that do without.
    enum class redis_use { wanted, unwanted };
    backing(runtime::guardian& parent, const data_folder& folder, const settings& options,
            redis_use redis = redis_use::wanted);
    ~backing(); // stop()
    backing(const backing&) = delete;
    backing& operator=(const backing&) = delete;

    // Begins to start what is managed. Blocks while a new PostgreSQL folder is made. Errors: a
    // sentence for the operator.
    [[nodiscard]] base::status begin();
    // Waits for PostgreSQL, then for Redis. Blocks. Errors: a sentence with the reason and the log.
    [[nodiscard]] base::status wait_ready();
    void begin_stop(); // of both; does not wait
    void stop();       // begin_stop(), then waits for both ends; blocks

    // After begin(). Redis: empty when unwanted.
    [[nodiscard]] std::string postgres_uri() const;
    [[nodiscard]] std::string redis_uri() const;
    [[nodiscard]] std::vector<service_line> lines() const;

    // Null when the service is not managed.
    [[nodiscard]] const runtime::managed_postgres* postgres() const { return postgres_.get(); }
    [[nodiscard]] const runtime::managed_redis* redis() const { return redis_.get(); }

private:
    std::string given_postgres_;
    std::string given_redis_;
    std::unique_ptr<runtime::managed_postgres> postgres_;
    std::unique_ptr<runtime::managed_redis> redis_;
};

// What a process with `options` needs of the machine; `redis` as for backing.
[[nodiscard]] runtime::resource_needs needs_of(const settings& options, backing::redis_use redis);

// An address without its password.
[[nodiscard]] std::string without_password(const std::string& uri);

} // namespace immortal::app
