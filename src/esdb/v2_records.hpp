// Records and checks of version 2 as events and expectations, and the typed errors. For .cpp files.
#pragma once

#include "base/random.hpp"
#include "esdb/rpc_status.hpp"
#include "esproto/wire/streams_v2.pb.h"
#include "eventstore/event_store.hpp"

#include <optional>
#include <string>
#include <vector>

namespace immortal::esdb::v2 {

namespace wire = ::kurrentdb::protocol::v2::streams;

// Takes the bytes. A record without an identifier gets a random one. Errors: INVALID_ARGUMENT.
[[nodiscard]] rpc_result<eventlog::new_event>
to_event(wire::AppendRecord& record, const std::string& stream, base::random_source& random);

struct violation {
    std::int32_t check = 0; // its place in the request
    std::string stream;
    std::int64_t expected = 0;
    std::int64_t actual = 0;
};

// Numbers as esproto::expected has them.
[[nodiscard]] rpc_status revision_conflict(const std::string& stream, std::int64_t expected,
                                           std::int64_t actual);
[[nodiscard]] rpc_status stream_tombstoned(const std::string& stream);
[[nodiscard]] rpc_status stream_deleted(const std::string& stream);
[[nodiscard]] rpc_status stream_repeated(const std::string& stream);
[[nodiscard]] rpc_status no_requests();
[[nodiscard]] rpc_status record_too_large(const std::string& stream, const std::string& record,
                                          std::size_t size);
[[nodiscard]] rpc_status append_too_large(std::size_t size, std::size_t size_max);
[[nodiscard]] rpc_status consistency_violation(const std::vector<violation>& violations);
[[nodiscard]] rpc_status access_denied(const std::string& operation, const std::string& user,
                                       std::string message = "Access Denied");

} // namespace immortal::esdb::v2
