#include "esdb/server.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "esdb/call_driver.hpp"
#include "esdb/certificates.hpp"
#include "esdb/connection_acceptor.hpp"
#include "esdb/listening.hpp"

#include <algorithm>
#include <condition_variable>
#include <grpc/support/log.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

namespace immortal::esdb {
namespace {

constexpr std::size_t waiting_for_calls = 64;  // arrivals that need not wait for us
constexpr int concurrent_streams_max = 10'000; // of one connection
constexpr int lookahead_bytes = 256 * 1024;    // of one call that nobody has read yet
constexpr int handshake_limit_ms = 20'000;
constexpr milliseconds farewell_limit{500}; // of a stop: for statuses to reach their clients

void forward_log(gpr_log_func_args* entry) {
    // gRPC tells of every broken connection; what matters is answered to the caller as an error.
    if (entry->severity == GPR_LOG_SEVERITY_ERROR) {
        base::log_debug("grpc", entry->message);
    }
}

// The official clients ping every 10 seconds; gRPC's own defaults would call that abuse.
void set_channel_arguments(grpc::ServerBuilder& builder, const server_settings& settings) {
    builder.SetMaxReceiveMessageSize(static_cast<int>(settings.message_size_max));
    builder.SetMaxSendMessageSize(-1);
    // The last fence: beyond it gRPC cancels calls. The gate keeps one login far below it.
    grpc::ResourceQuota quota("esdb");
    quota.Resize(settings.receive_bytes_max);
    builder.SetResourceQuota(quota);
    // A fixed window: what is sent before anybody reads stays small, whatever the line could carry.
    builder.AddChannelArgument("grpc.http2.bdp_probe", 0);
    builder.AddChannelArgument("grpc.http2.lookahead_bytes", lookahead_bytes);
    builder.AddChannelArgument("grpc.server_handshake_timeout_ms", handshake_limit_ms);
    builder.AddChannelArgument("grpc.http2.min_ping_interval_without_data_ms", 1000);
    builder.AddChannelArgument("grpc.http2.max_ping_strikes", 0);
    builder.AddChannelArgument("grpc.http2.max_pings_without_data", 0);
    builder.AddChannelArgument("grpc.keepalive_permit_without_calls", 1);
    builder.AddChannelArgument("grpc.keepalive_time_ms",
                               static_cast<int>(settings.keepalive_time.count()));
    builder.AddChannelArgument("grpc.keepalive_timeout_ms",
                               static_cast<int>(settings.keepalive_timeout.count()));
    builder.AddChannelArgument("grpc.max_concurrent_streams", concurrent_streams_max);
}

} // namespace

struct server::state {
    state(runtime::engine& engine, server_settings given, const method_table& methods,
          authorizer& rules)
        : settings(std::move(given)), callers(settings.callers),
          gate(settings.receiving_max, settings.receiving_caller_max),
          certificates(settings.tls ? std::make_shared<certificate_source>(*settings.tls)
                                    : nullptr) {
        host.executor = engine.executor();
        host.methods = &methods;
        host.rules = &rules;
        host.callers = &callers;
        host.gate = &gate;
        host.meter = &meter;
        host.message_size_max = settings.message_size_max;
        host.first_message_limit = settings.first_message_limit;
        host.message_limit = settings.message_limit;
        host.answer_limit = settings.answer_limit;
        host.arrived = [this](const std::shared_ptr<call_driver>& arrival) { take(arrival); };
        host.work_begun = [this] { return begin_work(); };
        host.work_ended = [this] { end_work(); };
        host.destroyed = [this](call_driver* gone) { forget(gone); };
    }

    base::status check_rules() const;
    base::status serve();
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> build();
    void abandon();
    void drain_queue();
    void start_threads();
    void accept_one();
    void take(const std::shared_ptr<call_driver>& arrival);
    void forget(call_driver* gone);
    bool begin_work();
    void end_work();
    void drive();
    void cancel_calls(void (call_driver::*how)());
    void await_work(milliseconds limit);
    void join();

    server_settings settings;
    caller_ledger callers;
    receive_gate gate;
    connection_meter meter;
    const std::shared_ptr<certificate_source> certificates; // null: no TLS
    call_host host;
    std::shared_ptr<grpc::ServerCredentials> credentials; // outlive the server
    std::unique_ptr<grpc::Server> grpc_server;
    std::unique_ptr<connection_acceptor> acceptor; // stopped before the server is shut down
    std::vector<std::thread> threads;
    std::uint16_t port = 0;

    std::mutex mutex;                // guards what follows
    std::condition_variable emptied; // of drivers, calls or work
    bool stopping = false;           // no work is accepted any more
    bool closed = false;             // no calls either
    std::size_t working = 0;         // calls that carry out what was accepted
    std::size_t drivers = 0;         // alive, waiting ones included
    std::map<call_driver*, std::weak_ptr<call_driver>> calls; // in progress
};

base::status server::state::check_rules() const {
    if (settings.tls) {
        return check_certificates(*settings.tls);
    }
    for (const std::string& address : settings.addresses) {
        if (!is_loopback(address)) {
            return base::fail(base::errc::invalid_argument,
                              "The event store listens on '" + address +
                                  "' only with TLS: give it a certificate and a key "
                                  "(esdb.tls_certificate, esdb.tls_key), or a loopback address.");
        }
    }
    return {};
}

// Null: it did not start.
std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server::state::build() {
    grpc::ServerBuilder builder;
    set_channel_arguments(builder, settings);
    credentials = certificates ? make_credentials(certificates) : grpc::InsecureServerCredentials();
    auto target = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
    host.service = std::make_unique<grpc::AsyncGenericService>();
    builder.RegisterAsyncGenericService(host.service.get());
    host.queue = builder.AddCompletionQueue();
    grpc_server = builder.BuildAndStart();
    return grpc_server != nullptr ? std::move(target) : nullptr;
}

base::status server::state::serve() {
    auto target = build();
    if (target == nullptr) {
        return base::fail(base::errc::invalid_argument,
                          "The event store's protocol cannot be served on port " +
                              std::to_string(port) + ".");
    }
    if (auto accepting = acceptor->start(std::move(target)); !accepting) {
        return accepting;
    }
    start_threads();
    if (threads.empty()) {
        return base::fail(base::errc::unavailable,
                          "The event store's protocol gets no thread: the system refuses more.");
    }
    return {};
}

// What serve() began and could not end.
void server::state::abandon() {
    acceptor.reset();
    if (grpc_server != nullptr) {
        grpc_server->Shutdown(gpr_now(GPR_CLOCK_MONOTONIC));
    }
    drain_queue();
    grpc_server.reset();
}

// Of a server that nobody was served by.
void server::state::drain_queue() {
    host.queue->Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (host.queue->Next(&tag, &ok)) {
    }
    host.queue.reset();
}

// As many as the system gives: one is enough to go on.
void server::state::start_threads() {
    threads.reserve(settings.threads);
    try {
        while (threads.size() < settings.threads) {
            threads.emplace_back([this] { drive(); });
        }
    } catch (const std::system_error& refused) {
        base::log_warning("esdb", "the system refused a thread",
                          {{"why", refused.what()}, {"threads", threads.size()}});
    }
}

void server::state::accept_one() {
    {
        const std::lock_guard lock(mutex);
        if (closed) {
            return;
        }
        ++drivers;
    }
    std::make_shared<call_driver>(host)->request();
}

void server::state::take(const std::shared_ptr<call_driver>& arrival) {
    bool late = false;
    {
        const std::lock_guard lock(mutex);
        calls.emplace(arrival.get(), arrival);
        late = stopping;
    }
    if (late) {
        arrival->stop();
    }
    accept_one();
}

void server::state::forget(call_driver* gone) {
    const std::lock_guard lock(mutex);
    calls.erase(gone);
    --drivers;
    if (drivers == 0 || (stopping && calls.empty())) {
        emptied.notify_all();
    }
}

bool server::state::begin_work() {
    const std::lock_guard lock(mutex);
    working += stopping ? 0 : 1;
    return !stopping;
}

void server::state::end_work() {
    const std::lock_guard lock(mutex);
    IMMORTAL_ASSERT(working > 0);
    if (--working == 0) {
        emptied.notify_all();
    }
}

// Until nothing that was accepted is under way, and then a moment for the answers to go out.
void server::state::await_work(milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::unique_lock lock(mutex);
    (void)emptied.wait_until(lock, deadline, [this] { return working == 0; });
    const auto farewell = std::chrono::steady_clock::now() + farewell_limit;
    (void)emptied.wait_until(lock, std::min(deadline, farewell), [this] { return calls.empty(); });
}

void server::state::drive() {
    void* tag = nullptr;
    bool ok = false;
    while (host.queue->Next(&tag, &ok)) {
        call_driver::complete(tag, ok);
    }
}

void server::state::cancel_calls(void (call_driver::*how)()) {
    std::vector<std::shared_ptr<call_driver>> alive; // released outside the lock
    {
        const std::lock_guard lock(mutex);
        for (const auto& [address, weak] : calls) {
            if (auto driver = weak.lock()) {
                alive.push_back(std::move(driver));
            }
        }
    }
    for (const auto& driver : alive) {
        ((*driver).*how)();
    }
}

server::server(runtime::engine& engine, server_settings settings, const method_table& methods,
               authorizer& rules)
    : state_(std::make_unique<state>(engine, std::move(settings), methods, rules)) {}

server::~server() {
    IMMORTAL_ASSERT(state_->threads.empty());
}

base::status server::start() {
    state& s = *state_;
    gpr_set_log_function(&forward_log);
    if (auto allowed = s.check_rules(); !allowed) {
        return allowed;
    }
    auto opened =
        open_listeners(s.settings.addresses, s.settings.port, s.settings.keepalive_timeout);
    if (!opened) {
        return base::fail(std::move(opened.error()));
    }
    s.port = opened->port;
    s.acceptor =
        std::make_unique<connection_acceptor>(std::move(opened->sockets), s.settings.may_accept,
                                              [&s](int connection) { s.meter.add(connection); });
    if (auto served = s.serve(); !served) {
        s.abandon();
        return served;
    }
    for (std::size_t i = 0; i < waiting_for_calls; ++i) {
        s.accept_one();
    }
    base::log_info("esdb", "the event store's protocol is served", {{"port", s.port}});
    return {};
}

void server::state::join() {
    {
        std::unique_lock lock(mutex);
        while (!emptied.wait_for(lock, std::chrono::seconds(10), [this] { return drivers == 0; })) {
            base::log_error("esdb", "calls do not end", {{"calls", calls.size()}});
        }
    }
    host.queue->Shutdown();
    for (std::thread& thread : threads) {
        thread.join();
    }
    threads.clear();
    grpc_server.reset();
}

base::status server::renew_certificates(tls_settings tls) {
    IMMORTAL_ASSERT(state_->certificates != nullptr);
    auto renewed = state_->certificates->renew(std::move(tls));
    if (renewed) {
        base::log_info("esdb", "new connections get the renewed certificates");
    }
    return renewed;
}

void server::stop(milliseconds limit) {
    state& s = *state_;
    if (s.threads.empty()) {
        return;
    }
    s.acceptor->stop();
    {
        const std::lock_guard lock(s.mutex);
        s.stopping = true;
    }
    s.cancel_calls(&call_driver::stop);
    s.await_work(limit);
    {
        const std::lock_guard lock(s.mutex);
        s.closed = true;
    }
    s.cancel_calls(&call_driver::cut_off);
    // Returns when every call has ended; at the deadline gRPC cancels what is left.
    s.grpc_server->Shutdown(gpr_time_add(
        gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(farewell_limit.count(), GPR_TIMESPAN)));
    s.cancel_calls(&call_driver::cut_off);
    s.join();
}

std::uint16_t server::port() const {
    return state_->port;
}

const caller_ledger& server::callers() const {
    return state_->callers;
}

std::size_t server::calls() const {
    const std::lock_guard lock(state_->mutex);
    return state_->calls.size();
}

} // namespace immortal::esdb
