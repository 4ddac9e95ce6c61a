// Who did what with accounts, as events of `system-events`.
#pragma once

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/uuid.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace immortal::eventstore {
class event_store;
}

namespace immortal::accounts {

using boost::asio::awaitable;

constexpr std::string_view audit_stream = "system-events";

// Thread-safe. What it works with outlives it.
class audit_trail {
public:
    // `store` may be null: nothing is recorded.
    audit_trail(eventstore::event_store* store, base::clock& clock, base::random_source& random,
                base::metrics& metrics);

    // `data` holds no name, address or secret: the log cannot forget. `user`: whom it is about, if
    // known. An entry that cannot be written is counted and reported in the process's log.
    awaitable<void> record(std::string type, std::optional<base::uuid> user,
                           base::json::object data = {});

private:
    eventstore::event_store* store_;
    base::clock& clock_;
    base::random_source& random_;
    base::counter lost_;
};

} // namespace immortal::accounts
