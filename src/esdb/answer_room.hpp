// Room for what a call holds on its way to a client that may not take it.
#pragma once

#include "esdb/byte_budget.hpp"
#include "eventstore/event_store.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <optional>
#include <vector>

namespace immortal::esdb {

using boost::asio::awaitable;

// Of one call, used on its strand: the largest page of a read that ends; of a call that lasts the
// page that is being sent, and nothing between two pages.
class answer_room {
public:
    using events = std::vector<eventstore::recorded_event>;

    // `limit`: how long room is waited for; empty: for ever.
    answer_room(shared_charge charge, std::optional<std::chrono::milliseconds> limit)
        : charge_(std::move(charge)), limit_(limit) {}

    // False: there is no room now. Drop the page, and read it again after wait().
    [[nodiscard]] bool take(const events& page);
    // Beside the page: what links of it lead to. False: there is no room now. Drop it, and follow
    // the first of these links again after wait().
    [[nodiscard]] bool take_targets(const std::vector<eventstore::resolved_event>& portion);
    // Until there is room for the page that found none. False: there was none in time, or the call
    // is over.
    awaitable<bool> wait();
    // Both for what cannot be read again. False: as wait().
    awaitable<bool> hold(const eventstore::resolved_event& event);
    // Of a call that lasts: what was taken is sent.
    void leave();

private:
    bool covers(std::size_t bytes);

    const shared_charge charge_;
    const std::optional<std::chrono::milliseconds> limit_;
    std::size_t page_ = 0; // bytes of the one that was taken
    std::size_t wanted_ = 0;
    bool again_ = false; // the last page found no room
};

} // namespace immortal::esdb
