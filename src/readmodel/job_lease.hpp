// The right to do a job that one process at a time does: a row of `job_leases`. Losing it does no
// harm by itself: a reader that must not act without it puts the fence into its statement.
#pragma once

#include "base/result.hpp"
#include "postgres/database.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace immortal::readmodel {

struct job_fence {
    std::string job;
    std::string owner;
    std::int64_t epoch = 0; // rises with every change of hands
};

enum class job_start : std::uint8_t {
    respect,  // waits until another process's lease expires
    take_over // takes it the first time: the only process of an installation, after kill -9
};

// One coroutine at a time.
class job_lease {
public:
    // `owner`: unique to this start of the process. The database outlives it.
    job_lease(postgres::database& database, std::string job, std::string owner,
              std::chrono::milliseconds duration, job_start first = job_start::respect)
        : database_(database), fence_{std::move(job), std::move(owner)}, duration_(duration),
          first_(first) {}

    // Takes the lease if it is free, prolongs it if it is this process's. True: it is, for
    // `duration` from before the call. Errors: those of the database.
    boost::asio::awaitable<base::result<bool>> hold();
    // Gives it back; best effort.
    boost::asio::awaitable<void> release();

    [[nodiscard]] const job_fence& fence() const noexcept { return fence_; }

private:
    postgres::database& database_;
    job_fence fence_;
    std::chrono::milliseconds duration_;
    job_start first_;
};

} // namespace immortal::readmodel
