// What a server does about clients that neither send nor take anything.
#include "esdb/raw_client_testing.hpp"
#include "esdb/server_fixture.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/monitoring.grpc.pb.h"
#include "runtime/deadline.hpp"

#include <atomic>
#include <grpcpp/generic/generic_stub.h>
#include <thread>

namespace immortal::esdb {
namespace {

namespace client = ::event_store::client;
using client::monitoring::Monitoring;
using std::chrono::milliseconds;

// The stop of a server whose clients neither send nor take anything waits for none of them.
class idle_clients : public server_fixture {
protected:
    static constexpr std::chrono::hours never{24};

    static awaitable<rpc_status> flood(call& asked) {
        client::monitoring::StatsResp message;
        (*message.mutable_stats())["x"] = std::string(64 * 1024, 'x');
        while (co_await send(asked, message)) {
        }
        co_return rpc_status{};
    }
    static awaitable<rpc_status> answer_at_once(call& asked) {
        client::monitoring::StatsResp message;
        (*message.mutable_stats())["x"] = std::string(64 * 1024, 'x');
        reply(asked, message);
        co_return rpc_status{};
    }
    awaitable<rpc_status> work(call& asked) {
        (void)co_await asked.read();
        const accepted_work accepted(asked);
        ++working_;
        (void)co_await runtime::wait_for(milliseconds(300));
        finished_ = true;
        co_return rpc_status{};
    }
    std::atomic<int> working_{0};
    std::atomic<bool> finished_{false};
};

TEST_F(idle_clients, an_answer_that_nobody_takes_ends_its_call) {
    const auto add = [this](const char* name, handler serve, call_kind kind) {
        methods_.add("slow", name,
                     {.serve = std::move(serve),
                      .access = access_rule::everybody(),
                      .kind = kind,
                      .lasting = duration::lasts});
    };
    add("Read", &flood, call_kind::short_call);
    add("Get", &answer_at_once, call_kind::short_call);
    add("Subscribe", &flood, call_kind::lasting);
    auto settings = test_settings();
    settings.answer_limit = milliseconds(300);
    start(settings);
    raw_client raw(server_->port(), 1'000);
    raw.begin("/slow/Subscribe", 0);
    raw.begin("/slow/Read", 0);
    raw.begin("/slow/Get", 0);
    const auto until = std::chrono::steady_clock::now() + patience / 4;
    while (raw.open_calls() > 1 && std::chrono::steady_clock::now() < until) {
        ASSERT_TRUE(raw.turn());
    }
    EXPECT_EQ(raw.open_calls(), 1u) << "a subscriber may be slow, others not for ever";
    while (server_->calls() > 1 && std::chrono::steady_clock::now() < until) {
        ASSERT_TRUE(raw.turn());
    }
    EXPECT_EQ(server_->calls(), 1u) << "they hold nothing any more";
}

// And its client is told why, though it takes nothing.
TEST_F(idle_clients, who_takes_no_answer_is_told_which_limit_ended_the_call) {
    methods_.add(Monitoring::service_full_name(), "Stats",
                 {.serve = &flood, .access = access_rule::everybody()});
    auto settings = test_settings();
    settings.answer_limit = milliseconds(300);
    start(settings);
    const auto stub = Monitoring::NewStub(channel_);
    const auto context = make_context();
    const auto reader = stub->Stats(context.get(), {});
    client::monitoring::StatsResp message;
    ASSERT_TRUE(reader->Read(&message));
    const auto until = std::chrono::steady_clock::now() + patience / 4;
    while (server_->calls() > 0 && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(milliseconds(10));
    }
    while (reader->Read(&message)) { // what had come before
    }
    const auto status = reader->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    EXPECT_NE(status.error_message().find("esdb.answer_timeout_ms"), std::string::npos)
        << status.error_message();
}

TEST_F(idle_clients, a_stop_waits_for_accepted_work_alone) {
    methods_.add(Monitoring::service_full_name(), "Stats",
                 {.serve = &flood,
                  .access = access_rule::everybody(),
                  .kind = call_kind::lasting,
                  .lasting = duration::lasts});
    methods_.add(
        "slow", "Work",
        {.serve = [this](call& asked) { return work(asked); }, .access = access_rule::everybody()});
    auto settings = test_settings();
    settings.first_message_limit = settings.message_limit = never;
    start(settings);
    raw_client raw(server_->port(), 1'000);
    raw.begin("/event_store.client.monitoring.Monitoring/Stats", 0); // takes no answer
    raw.begin("/slow/Work", 1'000);                                  // never sends its last byte
    raw.begin("/slow/Work", 0);                                      // sends nothing
    while (raw.received() == 0) {
        ASSERT_TRUE(raw.turn());
    }
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const auto context = make_context();
    const grpc::ByteBuffer empty = message_bytes(client::monitoring::StatsReq());
    const auto call = stub.PrepareUnaryCall(context.get(), "/slow/Work", empty, &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    while (working_ == 0) {
        ASSERT_TRUE(raw.turn());
    }
    server_->stop(std::chrono::duration_cast<milliseconds>(never));
    EXPECT_TRUE(finished_) << "accepted work is done to its end";
    void* tag = nullptr;
    bool ok = false;
    (void)queue.Next(&tag, &ok);
    queue.Shutdown();
}

} // namespace
} // namespace immortal::esdb
