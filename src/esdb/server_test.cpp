#include "esdb/certificate_testing.hpp"
#include "esdb/server.hpp"
#include "esdb/server_features.hpp"
#include "esdb/server_fixture.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/monitoring.grpc.pb.h"
#include "esproto/wire/operations.grpc.pb.h"
#include "esproto/wire/server_features.grpc.pb.h"
#include "runtime/deadline.hpp"

#include <atomic>
#include <future>
#include <grpcpp/security/credentials.h>
#include <mutex>
#include <thread>

namespace immortal::esdb {
namespace {

namespace client = ::event_store::client;
using client::monitoring::Monitoring;
using client::monitoring::StatsReq;
using client::monitoring::StatsResp;
using client::server_features::ServerFeatures;

constexpr std::size_t message_bytes = 64 * 1024;

// Serves Monitoring.Stats in ways that a test chooses.
struct probe {
    std::atomic<int> sent{0};
    std::atomic<int> running{0};
    std::atomic<int> accepted{0};
    std::atomic<int> aborted{0};
    struct counted {
        probe& owner;
        int exceptions = std::uncaught_exceptions();
        explicit counted(probe& p) : owner(p) { ++p.running; }
        ~counted() {
            owner.aborted += std::uncaught_exceptions() > exceptions ? 1 : 0;
            --owner.running;
        }
    };

    awaitable<rpc_status> flood(call& asked) {
        const counted here(*this);
        StatsResp message;
        (*message.mutable_stats())["x"] = std::string(message_bytes, 'x');
        while (co_await send(asked, message)) {
            ++sent;
        }
        co_return rpc_status{};
    }
    awaitable<rpc_status> wait_for_ever(call& asked) {
        const counted here(*this);
        note(asked);
        (void)co_await send(asked, StatsResp{});
        for (;;) {
            (void)co_await runtime::wait_for(std::chrono::hours(1));
        }
    }
    // Who called last.
    void note(const call& asked) {
        const std::lock_guard lock(mutex_);
        headers_ = asked.headers();
        caller_ = asked.caller();
    }
    [[nodiscard]] call_headers headers() const {
        const std::lock_guard lock(mutex_);
        return headers_;
    }
    [[nodiscard]] principal caller() const {
        const std::lock_guard lock(mutex_);
        return caller_;
    }
    static awaitable<rpc_status> refuse_it(call& /*asked*/) {
        rpc_status status = refusal::stream_deleted("人-1%");
        status.trailers.emplace_back("some-bin", std::string("\x00\xff", 2));
        co_return status;
    }
    static awaitable<rpc_status> fail_it(call& asked) {
        (void)co_await asked.read();
        throw std::runtime_error("planted");
    }
    awaitable<rpc_status> take_time(call& asked) {
        const counted here(*this);
        (void)co_await asked.read();
        const accepted_work work(asked);
        ++accepted;
        (void)co_await runtime::wait_for(std::chrono::milliseconds(300));
        (void)co_await send(asked, StatsResp{});
        co_return rpc_status{};
    }

private:
    mutable std::mutex mutex_;
    call_headers headers_;
    principal caller_;
};

class server_test : public server_fixture {
protected:
    void serve(handler stats, duration lasting = duration::ends_by_itself) {
        methods_.add(
            Monitoring::service_full_name(), "Stats",
            {.serve = std::move(stats), .access = access_rule::everybody(), .lasting = lasting});
        start();
        stub_ = Monitoring::NewStub(channel_);
    }
    template <typename Condition>
    static void wait_until(Condition reached) {
        const auto until = std::chrono::steady_clock::now() + patience;
        while (!reached()) {
            ASSERT_LT(std::chrono::steady_clock::now(), until);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    // Until a flood that nobody reads stands still: how much was sent.
    int wait_for_full_windows() {
        int before = -1;
        wait_until([&] {
            const int now = probe_.sent;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            return now > 0 && std::exchange(before, now) == now;
        });
        return before;
    }

    probe probe_;
    std::unique_ptr<Monitoring::Stub> stub_;
};

TEST_F(server_test, lists_its_methods_on_both_loopback_addresses) {
    add_server_features(methods_);
    start();
    for (const char* address : {"127.0.0.1", "[::1]"}) {
        const auto stub = ServerFeatures::NewStub(make_channel(address));
        client::server_features::SupportedMethods answer;
        const auto context = make_context();
        const auto status = stub->GetSupportedMethods(context.get(), {}, &answer);
        ASSERT_TRUE(status.ok()) << address << ": " << status.error_message();
        EXPECT_EQ(answer.event_store_server_version(), "26.1.0");
        ASSERT_EQ(answer.methods_size(), 1);
        EXPECT_EQ(answer.methods(0).service_name(),
                  "event_store.client.server_features.serverfeatures");
        EXPECT_EQ(answer.methods(0).method_name(), "getsupportedmethods");
    }
}

TEST_F(server_test, answers_unknown_methods_with_unimplemented) {
    start();
    const auto stub = client::operations::Operations::NewStub(channel_);
    client::Empty answer;
    const auto context = make_context();
    EXPECT_EQ(stub->MergeIndexes(context.get(), {}, &answer).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(server_test, sends_the_status_with_printable_trailers) {
    serve(&probe::refuse_it);
    const auto context = make_context();
    StatsResp message;
    const auto reader = stub_->Stats(context.get(), {});
    EXPECT_FALSE(reader->Read(&message));
    const auto status = reader->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(trailer(*context, "exception"), "stream-deleted");
    EXPECT_EQ(trailer(*context, "stream-name"), "%E4%BA%BA-1%25");
    EXPECT_EQ(trailer(*context, "some-bin"), std::string("\x00\xff", 2));
}

TEST_F(server_test, an_exception_of_a_handler_ends_that_call_only) {
    serve(&probe::fail_it);
    for (int i = 0; i < 3; ++i) {
        const auto context = make_context();
        const auto status = stub_->Stats(context.get(), {})->Finish();
        EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
        EXPECT_FALSE(status.error_message().empty());
    }
}

TEST_F(server_test, hands_over_the_headers) {
    serve([this](call& c) { return probe_.wait_for_ever(c); }, duration::lasts);
    const auto context = make_context();
    context->AddMetadata("connection-name", "tester");
    context->AddMetadata("requires-leader", "true");
    context->AddMetadata("authorization", "Basic eDp5");
    const auto reader = stub_->Stats(context.get(), {});
    StatsResp message;
    ASSERT_TRUE(reader->Read(&message));
    const call_headers seen = probe_.headers();
    EXPECT_EQ(seen.connection_name, "tester");
    EXPECT_EQ(seen.authorization, "Basic eDp5");
    EXPECT_TRUE(seen.requires_leader);
    EXPECT_EQ(seen.authority, "127.0.0.1:" + std::to_string(server_->port()));
    EXPECT_TRUE(seen.peer.starts_with("ipv4:127.0.0.1:")) << seen.peer;
    EXPECT_TRUE(probe_.caller().has_role("$ops"));
    context->TryCancel();
    (void)reader->Finish();
}

TEST_F(server_test, a_cancelled_call_ends_its_handler) {
    serve([this](call& c) { return probe_.wait_for_ever(c); }, duration::lasts);
    const auto context = make_context();
    const auto reader = stub_->Stats(context.get(), {});
    StatsResp message;
    ASSERT_TRUE(reader->Read(&message));
    EXPECT_EQ(probe_.running, 1);
    context->TryCancel();
    wait_until([this] { return probe_.running == 0; });
    EXPECT_EQ(probe_.aborted, 1);
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(server_test, the_clients_deadline_ends_the_handler) {
    serve([this](call& c) { return probe_.wait_for_ever(c); }, duration::lasts);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
    const auto reader = stub_->Stats(&context, {});
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    wait_until([this] { return probe_.running == 0; });
}

TEST_F(server_test, a_client_that_does_not_read_stops_the_handler_and_not_the_memory) {
    serve([this](call& c) { return probe_.flood(c); }, duration::lasts);
    const auto context = make_context();
    const auto reader = stub_->Stats(context.get(), {});
    const int before = wait_for_full_windows();
    EXPECT_LT(static_cast<std::size_t>(probe_.sent) * message_bytes, 32u << 20);
    StatsResp message;
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(reader->Read(&message));
    }
    EXPECT_GT(probe_.sent, before);
    context->TryCancel();
    wait_until([this] { return probe_.running == 0; });
    (void)reader->Finish();
}

TEST_F(server_test, stopping_ends_what_lasts_and_waits_for_the_rest) {
    serve([this](call& c) { return probe_.wait_for_ever(c); }, duration::lasts);
    const auto context = make_context();
    const auto reader = stub_->Stats(context.get(), {});
    StatsResp message;
    ASSERT_TRUE(reader->Read(&message));
    server_->stop(std::chrono::seconds(30));
    EXPECT_EQ(probe_.running, 0);
    const auto status = reader->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(status.error_message(), "Server Is Not Ready");
}

TEST_F(server_test, stopping_lets_a_short_call_finish) {
    serve([this](call& c) { return probe_.take_time(c); });
    const auto context = make_context();
    const auto reader = stub_->Stats(context.get(), {});
    wait_until([this] { return probe_.accepted == 1; });
    server_->stop(std::chrono::seconds(30));
    StatsResp message;
    EXPECT_TRUE(reader->Read(&message));
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(probe_.aborted, 0);
}

TEST_F(server_test, stopping_cuts_off_a_client_that_does_not_read) {
    serve([this](call& c) { return probe_.flood(c); }, duration::lasts);
    const auto context = make_context();
    const auto reader = stub_->Stats(context.get(), {});
    (void)wait_for_full_windows();
    server_->stop(std::chrono::milliseconds(200));
    EXPECT_EQ(probe_.running, 0);
    StatsResp message;
    while (reader->Read(&message)) { // what had come before
    }
    // So that it connects again. The connection may end before the sentence has gone out.
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// Two cancellations of one wait: the later one must not reach the wait that follows it.
TEST_F(server_test, stopping_while_clients_leave_ends_every_call_once) {
    serve([this](call& c) { return probe_.flood(c); }, duration::lasts);
    constexpr int calls = 64;
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<grpc::ClientReader<StatsResp>>> readers;
    for (int i = 0; i < calls; ++i) {
        contexts.push_back(make_context());
        readers.push_back(stub_->Stats(contexts.back().get(), {}));
    }
    wait_until([this] { return probe_.running == calls; });
    std::thread leaving([&contexts] {
        for (const auto& context : contexts) {
            context->TryCancel();
        }
    });
    server_->stop(std::chrono::milliseconds(200));
    leaving.join();
    EXPECT_EQ(probe_.running, 0);
    for (const auto& reader : readers) {
        (void)reader->Finish();
    }
}

TEST_F(server_test, refuses_one_call_too_many) {
    methods_.add(Monitoring::service_full_name(), "Stats",
                 {.serve = [this](call& c) { return probe_.wait_for_ever(c); },
                  .access = access_rule::everybody(),
                  .lasting = duration::lasts});
    auto settings = test_settings();
    settings.callers.calls_max = 1;
    start(settings);
    stub_ = Monitoring::NewStub(channel_);
    const auto first = make_context();
    const auto reader = stub_->Stats(first.get(), {});
    StatsResp message;
    ASSERT_TRUE(reader->Read(&message));
    const auto second = make_context();
    EXPECT_EQ(stub_->Stats(second.get(), {})->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    first->TryCancel();
    (void)reader->Finish();
}

TEST_F(server_test, a_taken_port_is_named) {
    start();
    auto settings = test_settings();
    settings.port = server_->port();
    server second(engine_, settings, methods_, *rules_);
    const auto refused = second.start();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::errc::unavailable);
    EXPECT_NE(refused.error().message.find("The port " + std::to_string(settings.port)),
              std::string::npos)
        << refused.error().message;
}

TEST_F(server_test, without_tls_only_loopback_addresses_are_allowed) {
    for (const char* address : {"0.0.0.0", "::", "10.0.0.1"}) {
        auto settings = test_settings();
        settings.addresses = {address};
        server refused(engine_, settings, methods_, *rules_);
        const auto outcome = refused.start();
        ASSERT_FALSE(outcome) << address;
        EXPECT_EQ(outcome.error().code, base::errc::invalid_argument);
    }
}

class tls_test : public server_test {
protected:
    // The outcome of one call of a client that trusts `certificate` and may show one itself.
    grpc::Status call_with(const tls_settings& certificate, bool shows_one) {
        grpc::SslCredentialsOptions options;
        options.pem_root_certs = certificate.certificate;
        if (shows_one) {
            options.pem_cert_chain = certificate.certificate;
            options.pem_private_key = certificate.key;
        }
        const auto stub = Monitoring::NewStub(grpc::CreateChannel(
            "localhost:" + std::to_string(server_->port()), grpc::SslCredentials(options)));
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + patience);
        return stub->Stats(&context, {})->Finish();
    }
    void start_with(const tls_settings& tls) {
        methods_.add(
            Monitoring::service_full_name(), "Stats",
            {.serve = [this](call& c) { return remember(c); }, .access = access_rule::everybody()});
        auto settings = test_settings();
        settings.tls = tls;
        start(settings);
    }
    awaitable<rpc_status> remember(call& asked) {
        probe_.note(asked);
        co_return rpc_status{};
    }
};

TEST_F(tls_test, serves_those_who_trust_its_certificate) {
    const auto certificate = make_certificate();
    start_with(certificate);
    EXPECT_TRUE(call_with(certificate, false).ok());
    EXPECT_EQ(probe_.headers().certificate_name, "");
    EXPECT_FALSE(call_with(make_certificate(), false).ok());
    stub_ = Monitoring::NewStub(channel_); // without TLS
    const auto context = make_context();
    EXPECT_FALSE(stub_->Stats(context.get(), {})->Finish().ok());
}

TEST_F(server_test, an_unusable_certificate_is_refused_at_the_start) {
    server_settings settings = test_settings();
    settings.tls = tls_settings{.certificate = "nonsense", .key = "nonsense"};
    server refused(engine_, std::move(settings), methods_, *rules_);
    const auto started = refused.start();
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().message.find("TLS"), std::string::npos) << started.error().message;
}

// On both loopback addresses: gRPC keeps certificates for each.
TEST_F(tls_test, renewed_certificates_serve_new_connections_and_damaged_ones_change_nothing) {
    const auto first = make_certificate();
    start_with(first);
    EXPECT_TRUE(call_with(first, false).ok());
    const auto second = make_certificate();
    for (const tls_settings& bad :
         {tls_settings{.certificate = "nonsense", .key = second.key},
          tls_settings{.certificate = second.certificate, .key = first.key},
          tls_settings{.certificate = second.certificate, .key = "nonsense"},
          tls_settings{.certificate = second.certificate + second.certificate.substr(0, 200),
                       .key = second.key},
          tls_settings{.certificate = second.certificate,
                       .key = second.key,
                       .client_authority = second.certificate}}) {
        const auto refused = server_->renew_certificates(bad);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, base::errc::invalid_argument);
        EXPECT_TRUE(call_with(first, false).ok());
    }
    ASSERT_TRUE(server_->renew_certificates(second));
    EXPECT_TRUE(call_with(second, false).ok());
    EXPECT_FALSE(call_with(first, false).ok());
}

TEST_F(tls_test, knows_the_name_of_a_verified_client) {
    auto certificate = make_certificate();
    certificate.client_authority = certificate.certificate;
    certificate.client_required = true;
    start_with(certificate);
    const auto status = call_with(certificate, true);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(probe_.headers().certificate_name, "localhost");
    EXPECT_FALSE(call_with(certificate, false).ok());
}

TEST_F(server_test, many_calls_at_once_all_end) {
    serve([this](call& c) { return probe_.take_time(c); });
    constexpr int calls = 300;
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<grpc::ClientReader<StatsResp>>> readers;
    for (int i = 0; i < calls; ++i) {
        contexts.push_back(make_context());
        readers.push_back(stub_->Stats(contexts.back().get(), {}));
        if (i % 3 == 0) {
            contexts.back()->TryCancel();
        }
    }
    StatsResp message;
    for (int i = 0; i < calls; ++i) {
        EXPECT_EQ(readers[static_cast<std::size_t>(i)]->Read(&message), i % 3 != 0) << i;
        (void)readers[static_cast<std::size_t>(i)]->Finish();
    }
    wait_until([this] { return server_->calls() == 0; });
}

} // namespace
} // namespace immortal::esdb
