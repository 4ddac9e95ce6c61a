#include "esdb/v2_records.hpp"

#include "base/json.hpp"
#include "esproto/convert.hpp"
#include "esproto/status_details.hpp"
#include "esproto/wire/rpc_errors.pb.h"
#include "esproto/wire/status.pb.h"
#include "esproto/wire/streams_v2_errors.pb.h"

#include <fmt/format.h>

#include <cmath>

namespace immortal::esdb::v2 {
namespace {

namespace details = ::kurrentdb::protocol::v2::streams::errors;
namespace json = base::json;
using google::protobuf::Value;

constexpr int depth_max = 32;
constexpr double exact_integer_max = 9007199254740991.0;

// Empty: nested too deeply.
std::optional<json::value> to_json(const Value& in, int depth) {
    if (depth > depth_max) {
        return std::nullopt;
    }
    switch (in.kind_case()) {
    case Value::kNumberValue:
        if (std::trunc(in.number_value()) == in.number_value() &&
            std::abs(in.number_value()) <= exact_integer_max) {
            return static_cast<std::int64_t>(in.number_value());
        }
        return in.number_value();
    case Value::kStringValue:
        return json::value(in.string_value());
    case Value::kBoolValue:
        return in.bool_value();
    case Value::kStructValue: {
        json::object out;
        for (const auto& [key, field] : in.struct_value().fields()) {
            auto value = to_json(field, depth + 1);
            if (!value) {
                return std::nullopt;
            }
            out.emplace(key, std::move(*value));
        }
        return out;
    }
    case Value::kListValue: {
        json::array out;
        for (const Value& item : in.list_value().values()) {
            auto value = to_json(item, depth + 1);
            if (!value) {
                return std::nullopt;
            }
            out.push_back(std::move(*value));
        }
        return out;
    }
    default:
        return json::value(nullptr);
    }
}

std::string_view format_name(wire::SchemaFormat format) {
    switch (format) {
    case wire::SCHEMA_FORMAT_JSON:
        return "Json";
    case wire::SCHEMA_FORMAT_PROTOBUF:
        return "Protobuf";
    case wire::SCHEMA_FORMAT_AVRO:
        return "Avro";
    default:
        return "Bytes";
    }
}

template <typename Detail>
rpc_status make(grpc::StatusCode code, std::string message, std::string reason,
                const Detail* detail) {
    ::google::rpc::ErrorInfo info;
    info.set_reason(std::move(reason));
    info.set_domain("streams");
    esproto::status_details all{
        static_cast<std::int32_t>(code), message, {esproto::make_detail(info)}};
    if (detail != nullptr) {
        all.details.push_back(esproto::make_detail(*detail));
    }
    return {code, std::move(message), {{esproto::status_details_trailer, esproto::encode(all)}}};
}

} // namespace

rpc_result<eventlog::new_event> to_event(wire::AppendRecord& record, const std::string& stream,
                                         base::random_source& random) {
    eventlog::new_event out;
    const auto id = record.has_record_id() && !record.record_id().empty()
                        ? base::uuid::parse(record.record_id())
                        : std::optional(base::uuid::make_random(random));
    if (!id || id->is_nil()) {
        return refuse(refusal::invalid(
            fmt::format("Record '{}' of stream '{}': its identifier must be a UUID.",
                        record.record_id(), stream)));
    }
    const auto format = record.schema().format();
    if (record.schema().name().empty() || format == wire::SCHEMA_FORMAT_UNSPECIFIED) {
        return refuse(refusal::invalid(fmt::format(
            "A record of stream '{}' needs the name and the format of its schema.", stream)));
    }
    json::object properties;
    for (const auto& [key, field] : record.properties()) {
        auto value = to_json(field, 0);
        if (!value) {
            return refuse(refusal::invalid("A record's properties are nested too deeply."));
        }
        properties.insert_or_assign(key, std::move(*value));
    }
    properties.insert_or_assign("$schema.name", record.schema().name());
    properties.insert_or_assign("$schema.format", format_name(format));
    if (!record.schema().id().empty()) {
        properties.insert_or_assign("$schema.id", record.schema().id());
    }
    out.id = *id;
    out.type = record.schema().name();
    out.format =
        format == wire::SCHEMA_FORMAT_JSON ? eventlog::content::json : eventlog::content::binary;
    out.metadata = json::serialize(properties);
    out.data = std::move(*record.mutable_data());
    return out;
}

rpc_status revision_conflict(const std::string& stream, std::int64_t expected,
                             std::int64_t actual) {
    details::StreamRevisionConflictErrorDetails detail;
    detail.set_stream(stream);
    detail.set_expected_revision(expected);
    detail.set_actual_revision(actual);
    return make(grpc::StatusCode::FAILED_PRECONDITION,
                fmt::format("Append failed due to a revision conflict on stream '{}'. Expected "
                            "revision: {}. Actual revision: {}.",
                            stream, expected, actual),
                "STREAM_REVISION_CONFLICT", &detail);
}

rpc_status stream_tombstoned(const std::string& stream) {
    details::StreamTombstonedErrorDetails detail;
    detail.set_stream(stream);
    return make(grpc::StatusCode::FAILED_PRECONDITION,
                fmt::format("Stream '{}' has been tombstoned.", stream), "STREAM_TOMBSTONED",
                &detail);
}

rpc_status stream_deleted(const std::string& stream) {
    details::StreamDeletedErrorDetails detail;
    detail.set_stream(stream);
    return make(grpc::StatusCode::FAILED_PRECONDITION,
                fmt::format("Stream '{}' has been deleted.", stream), "STREAM_DELETED", &detail);
}

rpc_status stream_repeated(const std::string& stream) {
    details::StreamAlreadyInAppendSessionErrorDetails detail;
    detail.set_stream(stream);
    return make(grpc::StatusCode::ABORTED,
                fmt::format("Stream '{}' appears in the session already.", stream),
                "STREAM_ALREADY_IN_APPEND_SESSION", &detail);
}

rpc_status no_requests() {
    return make<::google::rpc::ErrorInfo>(grpc::StatusCode::FAILED_PRECONDITION,
                                          "The append session has no requests.",
                                          "APPEND_SESSION_NO_REQUESTS", nullptr);
}

rpc_status record_too_large(const std::string& stream, const std::string& record,
                            std::size_t size) {
    details::AppendRecordSizeExceededErrorDetails detail;
    detail.set_stream(stream);
    detail.set_record_id(record);
    detail.set_size(static_cast<std::int32_t>(size));
    detail.set_max_size(static_cast<std::int32_t>(eventlog::event_size_max));
    return make(grpc::StatusCode::INVALID_ARGUMENT,
                fmt::format("Record '{}' of stream '{}' has {} bytes; at most {} are allowed.",
                            record, stream, size, eventlog::event_size_max),
                "APPEND_RECORD_SIZE_EXCEEDED", &detail);
}

rpc_status append_too_large(std::size_t size, std::size_t size_max) {
    details::AppendTransactionSizeExceededErrorDetails detail;
    detail.set_size(static_cast<std::int32_t>(size));
    detail.set_max_size(static_cast<std::int32_t>(size_max));
    return make(grpc::StatusCode::ABORTED,
                fmt::format("The append has more than {} bytes.", size_max),
                "APPEND_TRANSACTION_SIZE_EXCEEDED", &detail);
}

rpc_status consistency_violation(const std::vector<violation>& violations) {
    details::AppendConsistencyViolationErrorDetails detail;
    for (const violation& one : violations) {
        auto& out = *detail.add_violations();
        out.set_check_index(one.check);
        out.mutable_stream_state()->set_stream(one.stream);
        out.mutable_stream_state()->set_expected_state(one.expected);
        out.mutable_stream_state()->set_actual_state(one.actual);
    }
    return make(grpc::StatusCode::FAILED_PRECONDITION,
                "A consistency check of the append does not hold.", "APPEND_CONSISTENCY_VIOLATION",
                &detail);
}

rpc_status access_denied(const std::string& operation, const std::string& user,
                         std::string message) {
    ::kurrent::rpc::AccessDeniedErrorDetails detail;
    detail.set_operation(operation);
    if (!user.empty()) {
        detail.set_username(user);
    }
    rpc_status status =
        make(grpc::StatusCode::PERMISSION_DENIED, std::move(message), "ACCESS_DENIED", &detail);
    status.trailers.emplace_back("exception", "access-denied");
    return status;
}

} // namespace immortal::esdb::v2
