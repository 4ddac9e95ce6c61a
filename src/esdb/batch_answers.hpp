// The in-band errors of BatchAppend. For .cpp files.
#pragma once

#include "base/result.hpp"
#include "esproto/convert.hpp"
#include "esproto/wire/status.pb.h"

#include <optional>
#include <string>

namespace immortal::esdb::batch_answers {

using status = ::google::rpc::Status;

[[nodiscard]] status wrong_version(std::int64_t expected, std::optional<std::int64_t> current);
[[nodiscard]] status stream_deleted(const std::string& stream);
[[nodiscard]] status access_denied(std::string message = "AccessDenied");
[[nodiscard]] status timed_out();
// `excess`: the limit that was hit, in a sentence.
[[nodiscard]] status append_too_large(std::size_t size_max, const std::string& excess);
[[nodiscard]] status event_too_large(const base::uuid& id, std::size_t size, std::size_t size_max);
[[nodiscard]] status bad_request(std::string message);
[[nodiscard]] status busy(std::string message); // not done; trying again may succeed
[[nodiscard]] status internal(std::string message);
// Any of our errors but conflict, which needs more. The one place for them, as to_status() is for
// the other methods.
[[nodiscard]] status failure(const base::error& error, const std::string& stream,
                             std::size_t append_bytes_max);

} // namespace immortal::esdb::batch_answers
