#include "esdb/group_refusals.hpp"

#include <fmt/format.h>

#include <utility>

namespace immortal::esdb {

using base::errc;
using grpc::StatusCode;

namespace {

rpc_status told(StatusCode code, std::string message, const char* exception,
                const group_name& name) {
    return {code,
            std::move(message),
            {{"exception", exception}, {"stream-name", name.stream}, {"group-name", name.group}}};
}

} // namespace

namespace refusal {

rpc_status group_failed(const group_name& name, std::string_view reason) {
    auto status = told(StatusCode::INTERNAL,
                       fmt::format("Subscription group {} on stream {} failed: '{}'", name.group,
                                   name.stream, reason),
                       "persistent-subscription-failed", name);
    status.trailers.emplace_back("reason", reason);
    return status;
}

rpc_status group_missing(const group_name& name) {
    return told(
        StatusCode::NOT_FOUND,
        fmt::format("Subscription group {} on stream {} does not exist.", name.group, name.stream),
        "persistent-subscription-does-not-exist", name);
}

rpc_status group_exists(const group_name& name) {
    return told(StatusCode::ALREADY_EXISTS,
                fmt::format("Subscription group {} on stream {} exists.", name.group, name.stream),
                "persistent-subscription-exists", name);
}

rpc_status group_full(const group_name& name) {
    return told(StatusCode::FAILED_PRECONDITION,
                fmt::format("Maximum subscriptions reached for subscription group {} on stream {}.",
                            name.group, name.stream),
                "maximum-subscribers-reached", name);
}

rpc_status group_dropped(const group_name& name) {
    return told(
        StatusCode::CANCELLED,
        fmt::format("Subscription group {} on stream {} was dropped.", name.group, name.stream),
        "persistent-subscription-dropped", name);
}

} // namespace refusal

rpc_status to_group_status(const base::error& error, const group_name& name) {
    switch (error.code) {
    case errc::not_found:
        return refusal::group_missing(name);
    case errc::already_exists:
        return refusal::group_exists(name);
    case errc::invalid_argument:
    case errc::too_large:
    case errc::conflict:
    case errc::deleted:
    case errc::corrupt:
        return refusal::group_failed(name, error.message);
    default:
        return to_status(error, name.stream);
    }
}

} // namespace immortal::esdb
