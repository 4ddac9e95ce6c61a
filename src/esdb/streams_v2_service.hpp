// The version 2 streams service: atomic appends to several streams.
#pragma once

#include "esdb/method_table.hpp"
#include "esdb/service_context.hpp"

#include <vector>

namespace kurrentdb::protocol::v2::streams {
class AppendRecordsRequest;
class AppendRecordsResponse;
class AppendSessionResponse;
} // namespace kurrentdb::protocol::v2::streams

namespace immortal::esdb {

class append_account;

// Coroutines on their calls' strands. Outlives the server.
class streams_v2_service {
public:
    explicit streams_v2_service(service_context context) : context_(context) {}

    void add_to(method_table& methods); // it may not outlive the service

private:
    using session_response = ::kurrentdb::protocol::v2::streams::AppendSessionResponse;
    using records_request = ::kurrentdb::protocol::v2::streams::AppendRecordsRequest;
    using records_response = ::kurrentdb::protocol::v2::streams::AppendRecordsResponse;

    awaitable<rpc_status> append_session(call& asked);
    awaitable<rpc_result<std::vector<eventstore::stream_write>>>
    receive_session(call& asked, append_account& account);
    awaitable<rpc_result<records_response>> append_records(call& asked, records_request request);

    service_context context_;
};

} // namespace immortal::esdb
