#include "esdb/protocol_server.hpp"

#include "accounts/password_hasher.hpp"
#include "esdb/access_control.hpp"
#include "esdb/client_store.hpp"
#include "esdb/keeping_authorizer.hpp"
#include "esdb/node_services.hpp"
#include "esdb/persistent_service.hpp"
#include "esdb/projections_service.hpp"
#include "esdb/server_features.hpp"
#include "esdb/service_context.hpp"
#include "esdb/streams_service.hpp"
#include "esdb/streams_v2_service.hpp"
#include "esdb/users_service.hpp"
#include "runtime/task_group.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace immortal::esdb {

namespace {

constexpr std::chrono::seconds background_limit{30};
// For the last checkpoints of groups, when calls took all the time of a stop.
constexpr milliseconds checkpoints_limit_min{500};

} // namespace

struct protocol_server::parts {
    parts(runtime::engine& engine, eventstore::event_store& store, base::clock& clock,
          base::random_source& random, protocol_settings given)
        : engine(engine), settings(std::move(given)), guarded(make_security(store, clock, random)),
          rules(make_keeping_authorizer(
              guarded
                  ? make_access_control(guarded->users, store,
                                        {.anonymous_streams = settings.security->anonymous_streams})
                  : make_open_authorizer(),
              settings.kept)),
          client_view(make_client_store(store, guarded ? protection::secured : protection::open,
                                        settings.kept)),
          transport(engine, transport_settings(), methods, *rules),
          context{*client_view,         *rules,         clock, random, transport.callers(),
                  settings.write_limit, settings.append},
          streams(context), streams_v2(context),
          node(context, {.advertised_host = settings.advertised_host,
                         .advertised_port = settings.server.port}),
          operations(context, with_restart(settings.operations)),
          groups_memory(settings.group_bytes_max, settings.metrics),
          groups({store, clock, random, &groups_memory}, engine.executor()),
          background(engine.executor(), "event store protocol") {
        add_server_features(methods);
        streams.add_to(methods);
        streams_v2.add_to(methods);
        node.add_to(methods);
        operations.add_to(methods);
        add_users(methods, *rules, guarded ? &guarded->users : nullptr);
        add_projections(methods, *rules, *client_view);
        add_persistent_subscriptions(methods, *rules, groups);
    }

    struct security {
        security(const security_settings& with, eventstore::event_store& store, base::clock& clock,
                 base::random_source& random, runtime::any_io_executor executor)
            : hasher({.memory_bytes = with.hash_bytes,
                      .passes = with.hash_passes,
                      .at_once = with.hashes_at_once,
                      .queue_max = with.hash_queue_max}),
              users(store, hasher, clock, random, std::move(executor),
                    std::max<std::size_t>(1, with.hash_queue_max * 3 / 8)) {}
        accounts::password_hasher hasher;
        user_directory users;
    };

    std::unique_ptr<security> make_security(eventstore::event_store& store, base::clock& clock,
                                            base::random_source& random) {
        return settings.security ? std::make_unique<security>(*settings.security, store, clock,
                                                              random, engine.executor())
                                 : nullptr;
    }

    // Whoever has no login, or one of many, gets a part of what there is; without users everybody
    // is the same trusted one.
    server_settings transport_settings() const {
        server_settings out = settings.server;
        out.callers =
            settings.security
                ? caller_limits::divided(settings.calls_max, settings.unfinished_bytes_max)
                : caller_limits::undivided(settings.calls_max, settings.unfinished_bytes_max);
        out.receiving_caller_max =
            settings.security ? std::max<std::size_t>(1, out.receiving_max / 4) : out.receiving_max;
        // What is a little too large is received, and refused by its proper name.
        const std::size_t bytes = settings.append.bytes();
        out.message_size_max = bytes + bytes / 4 + eventlog::event_size_max / 16;
        return out;
    }

    operations_hooks with_restart(operations_hooks hooks) {
        hooks.restart_subscriptions = [this] { return groups.restart(); };
        return hooks;
    }

    runtime::engine& engine;
    protocol_settings settings;
    std::unique_ptr<security> guarded; // null: everybody may do everything
    std::unique_ptr<authorizer> rules;
    std::unique_ptr<eventstore::event_store> client_view;
    method_table methods;
    server transport;
    service_context context; // of what clients ask for
    streams_service streams;
    streams_v2_service streams_v2;
    node_services node;
    operations_service operations;
    group_memory groups_memory;
    group_registry groups;
    runtime::task_group background;
    std::optional<first_user> administrator;
    bool begun = false;
};

protocol_server::protocol_server(runtime::engine& engine, eventstore::event_store& store,
                                 base::clock& clock, base::random_source& random,
                                 protocol_settings settings)
    : parts_(std::make_unique<parts>(engine, store, clock, random, std::move(settings))) {}

protocol_server::~protocol_server() = default;

base::status protocol_server::start() {
    auto started = begin();
    if (!started) {
        stop(milliseconds(0)); // what had begun
    }
    return started;
}

base::status protocol_server::begin() {
    parts& all = *parts_;
    all.begun = true;
    if (all.guarded) {
        auto made = all.engine.run(all.guarded->users.start());
        if (!made) {
            return base::fail(std::move(made.error()));
        }
        all.administrator = std::move(*made);
    }
    auto started = all.transport.start();
    if (started) {
        all.background.spawn(all.groups.start_patiently(), "persistent subscriptions");
    }
    return started;
}

void protocol_server::stop(milliseconds limit) {
    parts& all = *parts_;
    if (!std::exchange(all.begun, false)) {
        return;
    }
    const auto end = std::chrono::steady_clock::now() + limit;
    all.groups.end_writes(limit);
    all.transport.stop(limit);
    const auto left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
    all.engine.run(all.groups.stop(std::max(left, checkpoints_limit_min)));
    (void)all.engine.run(all.background.stop(background_limit));
    if (all.guarded) {
        all.engine.run(all.guarded->users.stop());
        all.guarded->hasher.stop();
    }
}

const std::optional<first_user>& protocol_server::first_administrator() const {
    return parts_->administrator;
}

base::status protocol_server::renew_certificates(tls_settings tls) {
    return parts_->transport.renew_certificates(std::move(tls));
}

std::uint16_t protocol_server::port() const {
    return parts_->transport.port();
}

std::string protocol_server::connection_string() const {
    return fmt::format("esdb://localhost:{}?tls={}", port(),
                       parts_->settings.server.tls.has_value());
}

} // namespace immortal::esdb
