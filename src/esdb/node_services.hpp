// Gossip and Monitoring: what a single server says of itself.
#pragma once

#include "esdb/method_table.hpp"
#include "esdb/service_context.hpp"

namespace event_store::client::gossip {
class ClusterInfo;
}

namespace immortal::esdb {

// Coroutines on their calls' strands. Outlives the server.
class node_services {
public:
    struct settings {
        std::string advertised_host = {};     // empty: the address by which the client reached us
        std::uint16_t advertised_port = 2113; // where the client named none
    };

    node_services(service_context context, settings options);

    void add_to(method_table& methods); // it may not outlive the services

private:
    awaitable<rpc_result<::event_store::client::gossip::ClusterInfo>> gossip(call& asked);
    awaitable<rpc_status> stats(call& asked);

    service_context context_;
    settings settings_;
    base::uuid instance_;
    base::utc_time started_;
};

// "host:port", "[::1]:2113", "host": the parts; port 0 where there is none.
[[nodiscard]] std::pair<std::string, std::uint16_t> split_authority(std::string_view authority);

} // namespace immortal::esdb
