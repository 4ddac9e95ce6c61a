// The version 1 Streams service.
#pragma once

#include "esdb/method_table.hpp"
#include "esdb/read_plan.hpp"
#include "esdb/service_context.hpp"

#include <memory>
#include <vector>

namespace event_store::client::streams {
class AppendReq;
class AppendResp;
class DeleteReq;
class DeleteResp;
class TombstoneReq;
class TombstoneResp;
} // namespace event_store::client::streams

namespace immortal::esdb {

class append_account;

// Coroutines on their calls' strands. Outlives the server.
class streams_service {
public:
    explicit streams_service(service_context context) : context_(context) {}

    // `methods` may not outlive the service.
    void add_to(method_table& methods);

private:
    using append_response = ::event_store::client::streams::AppendResp;
    using delete_request = ::event_store::client::streams::DeleteReq;
    using delete_response = ::event_store::client::streams::DeleteResp;
    using tombstone_request = ::event_store::client::streams::TombstoneReq;
    using tombstone_response = ::event_store::client::streams::TombstoneResp;

    awaitable<rpc_status> read(call& asked);
    awaitable<rpc_status> read_stream(call& asked, read_plan plan);
    awaitable<rpc_status> read_all(call& asked, read_plan plan);
    awaitable<rpc_status> subscribe(call& asked, read_plan plan);

    awaitable<rpc_status> append(call& asked);
    awaitable<rpc_result<eventstore::stream_write>>
    receive_append(call& asked, append_account& account, std::int64_t& expected);
    awaitable<rpc_result<delete_response>> remove(call& asked, delete_request request);
    awaitable<rpc_result<tombstone_response>> tombstone(call& asked, tombstone_request request);
    awaitable<rpc_result<base::position>> end_stream(std::string stream,
                                                     std::optional<std::int64_t> expected,
                                                     eventstore::stream_write::action what);
    awaitable<rpc_status> batch_append(call& asked);

    service_context context_;
};

} // namespace immortal::esdb
