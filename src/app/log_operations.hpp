// The operator's requests about the event log itself; see operations.hpp.
#pragma once

#include "app/control.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "eventlog/log.hpp"
#include "eventlog/scavenger.hpp"

namespace immortal::app {

// {"command": "log.info"}          end: what the log is and holds
[[nodiscard]] base::json::object log_info(const eventlog::log& log);

// {"command": "log.dump", "from"?: position, "count"?, "stream"?}
//                                  items: events in log order, those too that streams hide;
//                                  end: {"events", "next": position}
// The log outlives the call.
[[nodiscard]] awaitable<base::result<base::json::object>>
dump_log(eventlog::log& log, base::json::object request, item_sink sink);

// {"command": "log.scavenge", "threads"?, "fromSegment"?, "bytesPerSecond"?, "dryRun"?}
//                                  starts one; items: its status, each second; end: the last status
// {"command": "log.scavenge.status"}           end: status of the one that runs or ran last
// {"command": "log.scavenge.stop"}             asks it to stop; end: status
// The scavenge goes on when nobody listens any more.
[[nodiscard]] awaitable<base::result<base::json::object>>
scavenge_log(eventlog::log& log, base::json::object request, item_sink sink);
// Whether the request starts a scavenge that `$scavenges` tells of.
[[nodiscard]] bool records_scavenge(const base::json::object& request);
[[nodiscard]] base::json::object scavenge_object(const eventlog::scavenge_status& status);
[[nodiscard]] base::result<base::json::object> stop_scavenge(eventlog::log& log);

// An integer of a request that is at least 0; empty if it is not there. Errors: invalid_argument.
[[nodiscard]] base::result<std::optional<std::uint64_t>>
number_of(const base::json::object& request, const char* key);

} // namespace immortal::app
