#include "esdb/batch_answers.hpp"

#include "esproto/wire/shared.pb.h"

namespace immortal::esdb::batch_answers {
namespace {

namespace wire = ::event_store::client;

template <typename Detail>
status make(::google::rpc::Code code, std::string message, const Detail& detail) {
    status out;
    out.set_code(code);
    out.set_message(std::move(message));
    out.mutable_details()->PackFrom(detail);
    return out;
}

} // namespace

status wrong_version(std::int64_t expected, std::optional<std::int64_t> current) {
    wire::WrongExpectedVersion detail;
    if (!current || *current < 0) {
        detail.mutable_current_no_stream();
    } else {
        detail.set_current_stream_revision(static_cast<std::uint64_t>(*current));
    }
    switch (expected) {
    case esproto::expected::any:
        detail.mutable_expected_any();
        break;
    case esproto::expected::stream_exists:
        detail.mutable_expected_stream_exists();
        break;
    case esproto::expected::no_stream:
        detail.mutable_expected_no_stream();
        break;
    default:
        detail.set_expected_stream_position(static_cast<std::uint64_t>(expected));
    }
    return make(::google::rpc::ALREADY_EXISTS, "WrongExpectedVersion", detail);
}

status stream_deleted(const std::string& stream) {
    wire::StreamDeleted detail;
    detail.mutable_stream_identifier()->set_stream_name(stream);
    return make(::google::rpc::NOT_FOUND, "StreamDeleted", detail);
}

status access_denied(std::string message) {
    return make(::google::rpc::PERMISSION_DENIED, std::move(message), wire::AccessDenied{});
}

status timed_out() {
    return make(::google::rpc::DEADLINE_EXCEEDED, "Timeout", wire::Timeout{});
}

status append_too_large(std::size_t size_max, const std::string& excess) {
    wire::MaximumAppendSizeExceeded detail;
    detail.set_maxappendsize(static_cast<std::uint32_t>(size_max));
    return make(::google::rpc::INVALID_ARGUMENT, "MaximumAppendSizeExceeded: " + excess, detail);
}

status event_too_large(const base::uuid& id, std::size_t size, std::size_t size_max) {
    wire::MaximumAppendEventSizeExceeded detail;
    detail.set_eventid(id.text());
    detail.set_proposedeventsize(static_cast<std::uint32_t>(size));
    detail.set_maxappendeventsize(static_cast<std::uint32_t>(size_max));
    return make(::google::rpc::INVALID_ARGUMENT, "MaximumAppendEventSizeExceeded", detail);
}

status bad_request(std::string message) {
    wire::BadRequest detail;
    detail.set_message(std::move(message));
    return make(::google::rpc::INVALID_ARGUMENT, "BadRequest", detail);
}

status busy(std::string message) {
    return make(::google::rpc::OK, std::move(message), wire::Empty{});
}

status internal(std::string message) {
    return make(::google::rpc::INTERNAL, std::move(message), wire::Empty{});
}

status failure(const base::error& error, const std::string& stream, std::size_t append_bytes_max) {
    switch (error.code) {
    case base::errc::deleted:
        return stream_deleted(stream);
    case base::errc::forbidden:
    case base::errc::unauthenticated:
        return error.reason == "reserved_stream" ? access_denied(error.message) : access_denied();
    case base::errc::timeout:
    case base::errc::unknown_outcome:
        return timed_out();
    case base::errc::too_large:
        return append_too_large(append_bytes_max, error.message);
    case base::errc::invalid_argument:
    case base::errc::not_found:
    case base::errc::already_exists:
    case base::errc::conflict:
    case base::errc::rejected:
    case base::errc::mismatch:
        return bad_request(error.message);
    case base::errc::exhausted:
    case base::errc::rate_limited:
        return busy("Server Is Busy");
    case base::errc::unavailable:
    case base::errc::cancelled:
    case base::errc::behind:
        return busy("Server Is Not Ready");
    case base::errc::corrupt:
    case base::errc::internal:
        break;
    }
    return internal("The append failed.");
}

} // namespace immortal::esdb::batch_answers
