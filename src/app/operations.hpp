// What the operator's commands do, once for the running server and for the tools that open the
// data folder themselves. Requests and answers are JSON, as in control.hpp.
#pragma once

#include "app/control.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "eventstore/event_store.hpp"
#include "postgres/database.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace immortal::cache {
class service;
}
namespace immortal::eventlog {
class log;
}

namespace immortal::app {

// All outlive the calls. `log` null: the store is a remote one; `database` null: only the store is
// open; `shared` null: no cache.
struct operation_parts {
    eventlog::log* log;
    eventstore::event_store& store;
    postgres::database* database = nullptr;
    cache::service* shared = nullptr;
};

// Requests:
//   {"command": "check", "sample"?: players}      end: readmodel::check_report
//   {"command": "stream.read", "stream", "from"?: revision, "count"?, "backwards"?: true}
//                                                 items: events; end: {"events", "last"?: revision}
//   {"command": "log.…"}                          see log_operations.hpp
// Errors: invalid_argument, and those of what is asked.
[[nodiscard]] awaitable<base::result<base::json::object>>
answer_operation(operation_parts uses, base::json::object request, item_sink sink);

// Answers these requests at the control socket of a data folder; after stop() it may be destroyed.
// Precondition: the caller holds the folder's lock. Errors: those of the socket.
[[nodiscard]] base::result<std::unique_ptr<control_server>>
serve_operations(boost::asio::any_io_executor executor, const std::filesystem::path& folder,
                 operation_parts uses);

// An event as the tools show it. Its data (and metadata) are "data" if they are said to be JSON and
// are, or are nothing; "dataText" if they are text otherwise; else "dataHex".
[[nodiscard]] base::json::object event_object(const eventstore::recorded_event& event);

} // namespace immortal::app
