#include "accounts/audit_trail.hpp"

#include "base/log.hpp"
#include "eventstore/event_store.hpp"

namespace immortal::accounts {

audit_trail::audit_trail(eventstore::event_store* store, base::clock& clock,
                         base::random_source& random, base::metrics& metrics)
    : store_(store), clock_(clock), random_(random),
      lost_(metrics.make_counter("immortal_accounts_audit_lost_total",
                                 "Account events that could not be written to system-events")) {}

awaitable<void> audit_trail::record(std::string type, std::optional<base::uuid> user,
                                    base::json::object data) {
    if (store_ == nullptr) {
        co_return;
    }
    if (user) {
        data["userId"] = user->text();
    }
    const base::json::object metadata{{"schemaVersion", 1},
                                      {"actor", user ? user->text() : "anonymous"},
                                      {"at", base::iso_text(clock_.now())}};
    eventstore::new_event event{base::uuid::make_random(random_), type, base::json::serialize(data),
                                base::json::serialize(metadata)};
    std::vector<eventstore::stream_write> writes(1);
    writes[0].stream = audit_stream;
    writes[0].events.push_back(std::move(event));
    const auto done = co_await store_->append(std::move(writes));
    if (!done) {
        lost_.add();
        base::log_error("accounts", "an audit entry was not written",
                        {{"type", type},
                         {"user", user ? user->text() : "unknown"},
                         {"why", done.error().message}});
    }
}

} // namespace immortal::accounts
