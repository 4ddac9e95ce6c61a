// How a call ends: a gRPC status and its trailers. Clients look at the trailer `exception` first.
// The one place where our errors become the protocol's.
#pragma once

#include "base/result.hpp"
#include "base/uuid.hpp"

#include <cstdint>
#include <expected>
#include <grpcpp/support/status_code_enum.h>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace immortal::esdb {

struct rpc_status {
    grpc::StatusCode code = grpc::StatusCode::OK;
    std::string message = {};
    // Values of keys that end in "-bin" are bytes; others are made printable when they are sent.
    std::vector<std::pair<std::string, std::string>> trailers = {};

    [[nodiscard]] bool is_ok() const { return code == grpc::StatusCode::OK; }
};

template <typename T>
using rpc_result = std::expected<T, rpc_status>;

[[nodiscard]] inline std::unexpected<rpc_status> refuse(rpc_status status) {
    return std::unexpected(std::move(status));
}

// The rows of the protocol's table of errors. `exception` and further keys are set.
namespace refusal {
[[nodiscard]] rpc_status access_denied(std::string message = "Access Denied");
[[nodiscard]] rpc_status unauthenticated();
[[nodiscard]] rpc_status not_ready();
[[nodiscard]] rpc_status too_busy();
[[nodiscard]] rpc_status too_late(std::string what); // a message of the client
[[nodiscard]] rpc_status too_large(std::string what);
[[nodiscard]] rpc_status invalid(std::string message);
[[nodiscard]] rpc_status timed_out(std::string what);
[[nodiscard]] rpc_status failed(); // a defect, or a broken environment; the log says more
[[nodiscard]] rpc_status stream_deleted(std::string_view stream);
[[nodiscard]] rpc_status stream_not_found(std::string_view stream);
// Numbers as the protocol has them (esproto::expected); `actual` empty: not known.
[[nodiscard]] rpc_status wrong_expected_version(std::string_view stream, std::int64_t expected,
                                                std::optional<std::int64_t> actual);
[[nodiscard]] rpc_status append_too_large(std::size_t size_max);
[[nodiscard]] rpc_status event_too_large(const base::uuid& id, std::size_t size,
                                         std::size_t size_max);
[[nodiscard]] rpc_status metadata_missing();
[[nodiscard]] rpc_status not_found(std::string message);
} // namespace refusal

// Any of our errors, never OK and never UNKNOWN; `stream` is the one the call was about (may be
// empty). Conflicts need more and are told by the caller.
[[nodiscard]] rpc_status to_status(const base::error& error, std::string_view stream);

// Trailers are ASCII: text with other bytes is percent-encoded as a whole.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace immortal::esdb
