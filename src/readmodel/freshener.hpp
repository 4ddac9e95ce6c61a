// What has been committed goes on into the cache: entries are replaced by newer ones, never
// deleted, and the leaderboards take every batch. Runs beside the projector, so a slow Redis delays
// nobody but itself; what piles up meanwhile is merged.
#pragma once

#include "eventstore/event_store.hpp"
#include "postgres/database.hpp"
#include "readmodel/batch.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>
#include <vector>

namespace immortal::cache {
class service;
}

namespace immortal::readmodel {

constexpr std::size_t fresh_owners_max = 20'000; // pending; then push() waits

// Thread-safe. All references outlive it.
class freshener {
public:
    freshener(boost::asio::any_io_executor executor, cache::service& target,
              postgres::database& database);
    ~freshener(); // after stop()
    void start();
    awaitable<void> stop();

    // A committed batch; `before`: the leases with the positions from before it; `totals`: what it
    // made of the statistics, as far as known.
    awaitable<void> push(prepared_batch batch, std::vector<lease> before,
                         std::vector<statistics_totals> totals);
    // The batches may not join what was pushed before (rows went back, leases changed hands).
    void restart();

    struct state; // of the implementation

private:
    std::shared_ptr<state> state_;
};

} // namespace immortal::readmodel
