// The second half of an account's erasure: its players forget the person. Resumed after a crash,
// until nothing is left.
#pragma once

#include "accounts/service.hpp"
#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "commands/service.hpp"
#include "eventstore/event_store.hpp"
#include "ops/periodic_job.hpp"
#include "postgres/database.hpp"
#include "readmodel/progress.hpp"
#include "readmodel/queries.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>

namespace immortal::ops {

struct erasure_settings {
    job_settings job;
    // A command that was under way at the request may still create a player. An erasure is finished
    // by a pass that began so long after it. More than a command's timeout and a session's age.
    milliseconds grace{10'000};
    milliseconds read_model_timeout{5'000}; // how long a pass waits for the read model
    // A player that could not be erased waits, each time twice as long, up to `retry_max`; with a
    // stream that is tombstoned, and so may never be written again, up to `retry_ended_max`.
    milliseconds retry_min{1'000};
    milliseconds retry_max{60'000};
    milliseconds retry_ended_max{3'600'000};
};

class erasure_worker {
public:
    struct parts {
        postgres::database& database;
        accounts::service& accounts;
        commands::service& commands;
        readmodel::queries& queries;
        readmodel::progress& progress;
        eventstore::event_store& store;
        base::clock& clock; // the wall clock, the accounts'
        base::metrics& metrics;
    };
    // Everything in `parts`, and the executor, outlive it.
    erasure_worker(boost::asio::any_io_executor executor, parts uses, erasure_settings settings);
    ~erasure_worker(); // after stop()
    erasure_worker(const erasure_worker&) = delete;
    erasure_worker& operator=(const erasure_worker&) = delete;

    void start();
    awaitable<void> stop(); // ends after the command under way; gives the lease back

    struct state; // of the implementation

private:
    std::shared_ptr<state> state_;
};

} // namespace immortal::ops
