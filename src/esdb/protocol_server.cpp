#include "esdb/protocol_server.hpp"

#include "esdb/node_services.hpp"
#include "esdb/projections_service.hpp"
#include "esdb/server_features.hpp"
#include "esdb/service_context.hpp"
#include "esdb/streams_service.hpp"
#include "esdb/streams_v2_service.hpp"
#include "esdb/users_service.hpp"

#include <fmt/format.h>

namespace immortal::esdb {

struct protocol_server::parts {
    parts(runtime::engine& engine, eventstore::event_store& store, base::clock& clock,
          base::random_source& random, protocol_settings given)
        : settings(std::move(given)),
          context{store, *rules, clock, random, memory, settings.write_limit}, streams(context),
          streams_v2(context), node(context, {.advertised_host = settings.advertised_host,
                                              .advertised_port = settings.server.port}),
          transport(engine, settings.server, methods, *rules) {
        add_server_features(methods);
        streams.add_to(methods);
        streams_v2.add_to(methods);
        node.add_to(methods);
        add_users(methods, *rules, nullptr);
        add_projections(methods, *rules, store);
    }

    protocol_settings settings;
    std::unique_ptr<authorizer> rules = make_open_authorizer();
    byte_budget memory{unfinished_bytes_max};
    service_context context;
    method_table methods;
    streams_service streams;
    streams_v2_service streams_v2;
    node_services node;
    server transport;
};

protocol_server::protocol_server(runtime::engine& engine, eventstore::event_store& store,
                                 base::clock& clock, base::random_source& random,
                                 protocol_settings settings)
    : parts_(std::make_unique<parts>(engine, store, clock, random, std::move(settings))) {}

protocol_server::~protocol_server() = default;

base::status protocol_server::start() {
    return parts_->transport.start();
}

void protocol_server::stop(milliseconds limit) {
    parts_->transport.stop(limit);
}

std::uint16_t protocol_server::port() const {
    return parts_->transport.port();
}

std::string protocol_server::connection_string() const {
    return fmt::format("esdb://localhost:{}?tls={}", port(),
                       parts_->settings.server.tls.has_value());
}

} // namespace immortal::esdb
