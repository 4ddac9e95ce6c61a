// Work that one process at a time repeats for ever: a lease, a loop, an orderly end.
#pragma once

#include "base/metrics.hpp"
#include "postgres/database.hpp"
#include "readmodel/job_lease.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace immortal::ops {

using boost::asio::awaitable;
using std::chrono::milliseconds;

struct job_settings {
    std::string owner;            // this process, unique per start
    milliseconds interval{1'000}; // from the end of one round to the next
    milliseconds lease_time{10'000};
    readmodel::job_start first = readmodel::job_start::respect;
};

// Thread-safe, except that fence() and still_held() belong to the round.
class periodic_job {
public:
    using round = std::function<awaitable<void>()>;
    // `work` is called while the lease is held; what it throws is logged. It ends soon after
    // stopping(), and gives up when still_held() says no. Database and metrics outlive the job.
    periodic_job(boost::asio::any_io_executor executor, postgres::database& database,
                 base::metrics& metrics, std::string name, job_settings settings, round work);
    ~periodic_job(); // after stop()
    periodic_job(const periodic_job&) = delete;
    periodic_job& operator=(const periodic_job&) = delete;

    void start();
    // Ends after the round under way, which is not cancelled, and gives the lease back.
    awaitable<void> stop();

    [[nodiscard]] bool stopping() const;
    [[nodiscard]] const readmodel::job_fence& fence() const;
    // Prolongs the lease when a third of it has passed. False: it was lost, or cannot be prolonged.
    awaitable<bool> still_held();

    struct state; // of the implementation

private:
    std::shared_ptr<state> state_;
};

} // namespace immortal::ops
