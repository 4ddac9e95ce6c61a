#include "base/memory_file_system.hpp"
#include "esdb/operations_service.hpp"
#include "esdb/server_fixture.hpp"
#include "esproto/wire/operations.grpc.pb.h"
#include "eventlog/log.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/scavenge_history.hpp"

#include <thread>

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::operations;
using nothing = ::event_store::client::Empty;
using grpc::StatusCode;

class operations_test : public server_fixture {
protected:
    void SetUp() override {
        server_fixture::SetUp();
        auto opened =
            eventlog::log::open({.folder = "/log", .segment_size = 4096, .free_space_min = 0},
                                disk_, clock_, random_, nullptr);
        ASSERT_TRUE(opened) << opened.error().message;
        log_ = std::move(*opened);
        store_ = eventstore::make_embedded_store(*log_);
        history_ = std::make_unique<eventstore::scavenge_history>(*log_, random_);
        open_service();
        start();
        stub_ = wire::Operations::NewStub(channel_);
    }
    void TearDown() override {
        server_->stop(std::chrono::milliseconds(500));
        service_.reset();
        history_.reset();
        store_.reset();
        log_.reset();
        server_fixture::TearDown();
    }
    void open_service() {
        service_ = std::make_unique<operations_service>(
            service_context{*store_, *rules_, clock_, random_, callers_},
            operations_hooks{.scavenges = &log_->scavenges(),
                             .shut_down = [this] { shut_down_ = true; }});
        service_->add_to(methods_);
    }
    void append(const std::string& stream, const std::string& type, const std::string& data) {
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = stream;
        writes[0].events.push_back(
            {.id = base::uuid::make_random(random_), .type = type, .data = data, .metadata = {}});
        ASSERT_TRUE(engine_.run(store_->append(std::move(writes))));
    }
    std::vector<eventstore::recorded_event> events_of(const std::string& stream) {
        auto page =
            engine_.run(store_->read_stream(stream, {0}, eventstore::direction::forwards, 100));
        return page ? page->events : std::vector<eventstore::recorded_event>{};
    }
    std::vector<eventstore::recorded_event> wait_for_events(const std::string& stream,
                                                            std::size_t count) {
        for (int i = 0; i < 1000; ++i) {
            auto events = events_of(stream);
            if (events.size() >= count) {
                return events;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        ADD_FAILURE() << "waited in vain for " << stream;
        return {};
    }

    base::memory_file_system disk_{7};
    base::system_clock clock_;
    base::system_random random_;
    caller_ledger callers_{caller_limits{}};
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<eventstore::event_store> store_;
    std::unique_ptr<eventstore::scavenge_history> history_;
    std::unique_ptr<operations_service> service_;
    std::unique_ptr<wire::Operations::Stub> stub_;
    std::atomic<bool> shut_down_ = false;
};

TEST_F(operations_test, a_scavenge_removes_what_is_hidden_and_is_told) {
    append("$$s", "$metadata", R"({"$maxCount":1})");
    for (int i = 0; i < 100; ++i) {
        append("s", "told", std::string(200, 'x'));
    }
    wire::ScavengeResp response;
    auto context = make_context();
    ASSERT_TRUE(stub_->StartScavenge(context.get(), wire::StartScavengeReq{}, &response).ok());
    EXPECT_EQ(response.scavenge_result(), wire::ScavengeResp::Started);
    const auto history = wait_for_events("$scavenges-" + response.scavenge_id(), 2);
    ASSERT_EQ(history.size(), 2U);
    EXPECT_EQ(history[0].type, "$scavengeStarted");
    EXPECT_EQ(history[1].type, "$scavengeCompleted");
    EXPECT_NE(history[1].data.find(R"("result":"Success")"), std::string::npos) << history[1].data;
    EXPECT_EQ(history[1].data.find(R"("eventsRemoved":0,)"), std::string::npos) << history[1].data;
    const auto links = events_of("$scavenges");
    ASSERT_EQ(links.size(), 2U);
    EXPECT_EQ(links[1].data, "1@$scavenges-" + response.scavenge_id());
    EXPECT_EQ(events_of("s").size(), 1U);
}

TEST_F(operations_test, an_unknown_scavenge_cannot_be_stopped) {
    wire::StopScavengeReq request;
    request.mutable_options()->set_scavenge_id("nobody");
    wire::ScavengeResp response;
    auto context = make_context();
    EXPECT_EQ(stub_->StopScavenge(context.get(), request, &response).error_code(),
              StatusCode::NOT_FOUND);
    EXPECT_EQ(trailer(*context, "exception"), "scavenge-not-found");
    EXPECT_EQ(trailer(*context, "scavenge-id"), "nobody");
    wire::StartScavengeReq wrong;
    wrong.mutable_options()->set_thread_count(-1);
    context = make_context();
    EXPECT_EQ(stub_->StartScavenge(context.get(), wrong, &response).error_code(),
              StatusCode::INVALID_ARGUMENT);
}

TEST_F(operations_test, shutdown_and_what_a_single_node_need_not_do) {
    nothing response;
    auto context = make_context();
    EXPECT_TRUE(stub_->MergeIndexes(context.get(), nothing{}, &response).ok());
    context = make_context();
    EXPECT_TRUE(stub_->ResignNode(context.get(), nothing{}, &response).ok());
    context = make_context();
    EXPECT_TRUE(stub_->SetNodePriority(context.get(), wire::SetNodePriorityReq{}, &response).ok());
    context = make_context();
    EXPECT_TRUE(stub_->RestartPersistentSubscriptions(context.get(), nothing{}, &response).ok());
    EXPECT_FALSE(shut_down_);
    context = make_context();
    EXPECT_TRUE(stub_->Shutdown(context.get(), nothing{}, &response).ok());
    EXPECT_TRUE(shut_down_);
}

} // namespace
} // namespace immortal::esdb
