#include "esdb/rpc_status.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace immortal::esdb {

using grpc::StatusCode;

namespace {

rpc_status with_exception(StatusCode code, std::string message, std::string exception) {
    return {code, std::move(message), {{"exception", std::move(exception)}}};
}

} // namespace

namespace refusal {

rpc_status access_denied(std::string message) {
    return with_exception(StatusCode::PERMISSION_DENIED, std::move(message), "access-denied");
}

rpc_status unauthenticated() {
    return {StatusCode::UNAUTHENTICATED, "Unauthenticated"};
}

rpc_status not_ready() {
    return {StatusCode::UNAVAILABLE, "Server Is Not Ready"};
}

rpc_status too_busy() {
    return {StatusCode::UNAVAILABLE, "Server Is Too Busy"};
}

rpc_status invalid(std::string message) {
    return {StatusCode::INVALID_ARGUMENT, std::move(message)};
}

rpc_status timed_out(std::string what) {
    return {StatusCode::ABORTED, "Operation timed out: " + std::move(what)};
}

rpc_status too_late(std::string what) {
    return {StatusCode::DEADLINE_EXCEEDED, std::move(what)};
}

rpc_status too_large(std::string what) {
    return {StatusCode::RESOURCE_EXHAUSTED, std::move(what)};
}

rpc_status failed() {
    return {StatusCode::INTERNAL, "The server failed to serve the call; its log says why."};
}

rpc_status stream_deleted(std::string_view stream) {
    auto status =
        with_exception(StatusCode::FAILED_PRECONDITION,
                       fmt::format("Event stream '{}' is deleted.", stream), "stream-deleted");
    status.trailers.emplace_back("stream-name", stream);
    return status;
}

rpc_status stream_not_found(std::string_view stream) {
    auto status =
        with_exception(StatusCode::NOT_FOUND,
                       fmt::format("Event stream '{}' is not found.", stream), "stream-not-found");
    status.trailers.emplace_back("stream-name", stream);
    return status;
}

rpc_status wrong_expected_version(std::string_view stream, std::int64_t expected,
                                  std::optional<std::int64_t> actual) {
    const std::string actual_text = actual ? std::to_string(*actual) : std::string();
    auto status = with_exception(
        StatusCode::FAILED_PRECONDITION,
        fmt::format("Delete failed due to WrongExpectedVersion. Stream: {}, Expected version: {}, "
                    "Actual version: {}",
                    stream, expected, actual_text),
        "wrong-expected-version");
    status.trailers.emplace_back("stream-name", stream);
    status.trailers.emplace_back("expected-version", std::to_string(expected));
    status.trailers.emplace_back("actual-version", actual_text);
    return status;
}

rpc_status append_too_large(std::size_t size_max) {
    auto status = with_exception(StatusCode::INVALID_ARGUMENT,
                                 fmt::format("Maximum Append Size of {} Exceeded.", size_max),
                                 "maximum-append-size-exceeded");
    status.trailers.emplace_back("maximum-append-size", std::to_string(size_max));
    return status;
}

rpc_status event_too_large(const base::uuid& id, std::size_t size, std::size_t size_max) {
    auto status = with_exception(
        StatusCode::INVALID_ARGUMENT,
        fmt::format("Event with Id: {}, Size: {}, exceeds Maximum Append Event Size of {}.",
                    id.text(), size, size_max),
        "maximum-append-event-size-exceeded");
    status.trailers.emplace_back("event-id", id.text());
    status.trailers.emplace_back("proposed-append-event-size", std::to_string(size));
    status.trailers.emplace_back("maximum-append-event-size", std::to_string(size_max));
    return status;
}

rpc_status metadata_missing() {
    auto status = with_exception(StatusCode::INVALID_ARGUMENT,
                                 "Required Metadata Property 'type' or 'content-type' is missing.",
                                 "missing-required-metadata-property");
    status.trailers.emplace_back("required-metadata-properties", "type,content-type");
    return status;
}

rpc_status not_found(std::string message) {
    return {StatusCode::NOT_FOUND, std::move(message)};
}

} // namespace refusal

namespace {

rpc_status unavailable(rpc_status status, const base::error& error) {
    if (!error.message.empty()) {
        status.message += ": " + error.message;
    }
    if (error.retry_after_ms > 0) {
        status.trailers.emplace_back("retry-after-ms", std::to_string(error.retry_after_ms));
    }
    return status;
}

} // namespace

rpc_status to_status(const base::error& error, std::string_view stream) {
    switch (error.code) {
    case base::errc::forbidden:
        return error.reason == "reserved_stream" ? refusal::access_denied(error.message)
                                                 : refusal::access_denied();
    case base::errc::unauthenticated:
        return refusal::unauthenticated();
    case base::errc::deleted:
        return refusal::stream_deleted(stream);
    case base::errc::not_found:
        return refusal::not_found(error.message);
    case base::errc::invalid_argument:
    case base::errc::too_large:
        return refusal::invalid(error.message);
    case base::errc::timeout:
    case base::errc::unknown_outcome:
        return refusal::timed_out(error.message);
    case base::errc::exhausted:
    case base::errc::rate_limited:
        return unavailable(refusal::too_busy(), error);
    case base::errc::unavailable:
    case base::errc::behind:
        return unavailable(refusal::not_ready(), error);
    case base::errc::cancelled: // by our stop; a client that has left is not answered
        return refusal::not_ready();
    case base::errc::already_exists:
        return {StatusCode::ALREADY_EXISTS, error.message};
    case base::errc::conflict:
    case base::errc::rejected:
    case base::errc::mismatch:
        return {StatusCode::FAILED_PRECONDITION, error.message};
    case base::errc::corrupt:
        return {StatusCode::DATA_LOSS, "Stored events fail their checks: " + error.message};
    case base::errc::internal:
        break;
    }
    return refusal::failed();
}

std::string printable(std::string_view text) {
    const auto plain = [](char c) { return c >= 0x20 && c < 0x7f; };
    if (std::ranges::all_of(text, plain)) {
        return std::string(text);
    }
    std::string out;
    for (const char c : text) {
        if (plain(c) && c != '%') {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

} // namespace immortal::esdb
