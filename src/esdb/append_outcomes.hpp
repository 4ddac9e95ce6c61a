// Appends through the port: with a deadline, and with what clients want to know of a conflict.
#pragma once

#include "esdb/access_rule.hpp"
#include "esdb/service_context.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::esdb {

// store.append, answered within `limit` (errors with reason "deadline": event_store.hpp). `charge`
// stays with the events as long as the store has them. `unmet`, if given: what did not hold.
[[nodiscard]] awaitable<base::result<eventstore::append_outcome>>
append_within(eventstore::event_store& store, std::vector<eventstore::stream_write> writes,
              std::chrono::milliseconds limit, std::shared_ptr<void> charge,
              std::shared_ptr<std::vector<eventstore::unmet_expectation>> unmet = nullptr);

// The last revision of `stream`, for telling why an expectation did not hold: as it was found then,
// if `unmet` says; else as it is now, which may be another one. -1 without events. Empty: the store
// does not say.
[[nodiscard]] awaitable<std::optional<std::int64_t>>
current_version(eventstore::event_store& store, std::string stream,
                std::shared_ptr<std::vector<eventstore::unmet_expectation>> unmet);

// Empty: fine. A name that no stream can have.
[[nodiscard]] std::optional<std::string> name_fault(const std::string& stream);
[[nodiscard]] bool is_stream_name(const std::string& stream); // "$all" among them

// The need of something that is done to one stream; the authorizer knows that `$$x` is the metadata
// of `x`. None for a name that no stream can have: the handler refuses it.
[[nodiscard]] stream_needs needs_of(const std::string& stream, stream_right right);

} // namespace immortal::esdb
