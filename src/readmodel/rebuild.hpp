// Throws the derived rows away and makes them again from the log. Users, sessions, keys, skipped
// dead letters and the catalogue's rows are left alone. The result equals what the live projector
// had written, bit for bit.
#pragma once

#include "readmodel/projector.hpp"

#include <cstdint>
#include <functional>

namespace immortal::readmodel {

struct rebuild_progress {
    std::uint64_t events = 0;
    base::position position;
    base::position head; // when the rebuild began
};

// Takes all partitions (a live projector elsewhere loses its fence), empties the tables, replays up
// to the head of the log as it was at the start, gives the leases back. Interrupted, it is simply
// called again; a projector may also continue from where it stopped. Errors: unavailable,
// cancelled, conflict (someone took the leases meanwhile).
awaitable<base::result<rebuild_progress>>
rebuild(boost::asio::any_io_executor executor, projector::parts uses, projector_settings settings,
        std::function<void(const rebuild_progress&)> report = {});

} // namespace immortal::readmodel
