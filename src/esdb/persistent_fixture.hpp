// The PersistentSubscriptions service over a memory store, and a small language of its clients.
#pragma once

#include "base/clock.hpp"
#include "esdb/persistent_service.hpp"
#include "esdb/server_features.hpp"
#include "esdb/server_fixture.hpp"
#include "esproto/convert.hpp"
#include "esproto/wire/persistent_subscriptions.grpc.pb.h"
#include "eventstore/memory_store.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>

namespace immortal::esdb {

namespace wire = ::event_store::client::persistent_subscriptions;
using eventlog::expected_revision;
using grpc::StatusCode;
namespace wire = ::event_store::client::persistent_subscriptions;
using eventlog::expected_revision;
using grpc::StatusCode;

// Refuses to manage groups and to read streams named "secret...".
class strict_authorizer final : public authorizer {
public:
    awaitable<base::result<principal>> authenticate(call_headers /*headers*/) override {
        co_return principal{.name = "somebody"};
    }
    awaitable<base::status> may_access(principal /*who*/, stream_right /*right*/,
                                       std::string stream) override {
        co_return stream.starts_with("secret") ? base::fail(base::errc::forbidden, "no")
                                               : base::status{};
    }
    awaitable<base::status> may_operate(principal /*who*/, operation /*what*/) override {
        co_return may_operate_ ? base::status{} : base::fail(base::errc::forbidden, "no");
    }
    std::atomic<bool> may_operate_ = false;
};

class persistent_service_test : public server_fixture {
protected:
    using reader = grpc::ClientReaderWriter<wire::ReadReq, wire::ReadResp>;

    void SetUp() override {
        server_fixture::SetUp();
        registry_ = std::make_unique<group_registry>(group_services{*store_, clock_, random_},
                                                     engine_.executor());
    }
    void TearDown() override {
        if (server_ != nullptr) {
            server_->stop(std::chrono::milliseconds(500));
        }
        engine_.run(registry_->stop());
        server_fixture::TearDown();
    }
    void serve() {
        ASSERT_TRUE(engine_.run(registry_->start()));
        serve_unloaded();
    }
    void serve_unloaded() {
        add_persistent_subscriptions(methods_, *rules_, *registry_);
        add_server_features(methods_);
        start();
        stub_ = wire::PersistentSubscriptions::NewStub(channel_);
    }

    base::uuid write(std::string stream, std::string type = "Happened", std::string data = "{}") {
        eventstore::new_event event{base::uuid::make_random(random_), std::move(type),
                                    std::move(data), "{}"};
        const base::uuid id = event.id;
        std::vector<eventstore::stream_write> writes;
        writes.push_back({std::move(stream), expected_revision::any(), {std::move(event)}});
        EXPECT_TRUE(engine_.run(store_->append(std::move(writes))));
        return id;
    }

    static void set_defaults(auto& settings) {
        settings.set_message_timeout_ms(30'000);
        settings.set_checkpoint_after_ms(2'000);
        settings.set_max_retry_count(10);
        settings.set_min_checkpoint_count(10);
        settings.set_max_checkpoint_count(1'000);
        settings.set_live_buffer_size(500);
        settings.set_read_batch_size(20);
        settings.set_history_buffer_size(500);
    }
    static wire::CreateReq create_request(const std::string& stream) {
        wire::CreateReq request;
        auto& options = *request.mutable_options();
        options.set_group_name("g");
        if (stream == all_stream) {
            options.mutable_all()->mutable_start();
            options.mutable_all()->mutable_no_filter();
        } else {
            options.mutable_stream()->mutable_stream_identifier()->set_stream_name(stream);
            options.mutable_stream()->mutable_start();
        }
        set_defaults(*options.mutable_settings());
        options.mutable_settings()->set_consumer_strategy("RoundRobin");
        return request;
    }
    static wire::UpdateReq update_request(const std::string& stream) {
        wire::UpdateReq request;
        auto& options = *request.mutable_options();
        options.set_group_name("g");
        options.mutable_stream()->mutable_stream_identifier()->set_stream_name(stream);
        options.mutable_stream()->mutable_start();
        set_defaults(*options.mutable_settings());
        return request;
    }
    // Calls a method; the context is kept for its trailers.
    template <typename Request, typename Response>
    grpc::Status
    ask(grpc::Status (wire::PersistentSubscriptions::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Response*),
        const Request& request, Response* out) {
        context_ = make_context();
        return (stub_.get()->*method)(context_.get(), request, out);
    }
    grpc::Status create(const wire::CreateReq& request) {
        wire::CreateResp out;
        return ask(&wire::PersistentSubscriptions::Stub::Create, request, &out);
    }
    grpc::Status update(const wire::UpdateReq& request) {
        wire::UpdateResp out;
        return ask(&wire::PersistentSubscriptions::Stub::Update, request, &out);
    }
    grpc::Status remove(const std::string& stream) {
        wire::DeleteReq request;
        name(*request.mutable_options(), stream);
        wire::DeleteResp out;
        return ask(&wire::PersistentSubscriptions::Stub::Delete, request, &out);
    }
    grpc::Status replay(const std::string& stream, std::optional<std::int64_t> stop_at = {}) {
        wire::ReplayParkedReq request;
        name(*request.mutable_options(), stream);
        if (stop_at) {
            request.mutable_options()->set_stop_at(*stop_at);
        }
        wire::ReplayParkedResp out;
        return ask(&wire::PersistentSubscriptions::Stub::ReplayParked, request, &out);
    }
    grpc::Status get_info(const std::string& stream, wire::SubscriptionInfo& info) {
        wire::GetInfoReq request;
        name(*request.mutable_options(), stream);
        wire::GetInfoResp out;
        auto status = ask(&wire::PersistentSubscriptions::Stub::GetInfo, request, &out);
        info = out.subscription_info();
        return status;
    }
    static void name(auto& options, const std::string& stream) {
        options.set_group_name("g");
        if (stream == all_stream) {
            options.mutable_all();
        } else {
            options.mutable_stream_identifier()->set_stream_name(stream);
        }
    }

    struct consumer {
        std::unique_ptr<grpc::ClientContext> context;
        std::unique_ptr<reader> stream;
    };
    consumer subscribe(const std::string& stream, std::int32_t buffer = 10) {
        consumer out{make_context(), nullptr};
        out.stream = stub_->Read(out.context.get());
        wire::ReadReq request;
        name(*request.mutable_options(), stream);
        request.mutable_options()->set_buffer_size(buffer);
        request.mutable_options()->mutable_uuid_option()->mutable_string();
        out.stream->Write(request);
        return out;
    }
    consumer confirmed(const std::string& stream, std::int32_t buffer = 10) {
        consumer out = subscribe(stream, buffer);
        wire::ReadResp message;
        EXPECT_TRUE(out.stream->Read(&message));
        EXPECT_EQ(message.subscription_confirmation().subscription_id(), stream + "::g");
        return out;
    }
    static wire::ReadResp::ReadEvent next(consumer& from) {
        wire::ReadResp message;
        EXPECT_TRUE(from.stream->Read(&message));
        EXPECT_TRUE(message.has_event());
        return message.event();
    }
    static void answer(consumer& from, const wire::ReadResp::ReadEvent& event,
                       std::optional<wire::ReadReq::Nack::Action> action = {}) {
        wire::ReadReq request;
        const auto& id = event.has_link() ? event.link().id() : event.event().id();
        if (action) {
            request.mutable_nack()->set_action(*action);
            request.mutable_nack()->set_reason("because");
            *request.mutable_nack()->add_ids() = id;
        } else {
            *request.mutable_ack()->add_ids() = id;
        }
        EXPECT_TRUE(from.stream->Write(request));
    }
    // How the call ended.
    static grpc::Status end(consumer& of) {
        wire::ReadResp message;
        while (of.stream->Read(&message)) {
        }
        return of.stream->Finish();
    }
    void expect_refused(const grpc::Status& status, StatusCode code, const std::string& exception,
                        const std::string& stream) {
        EXPECT_EQ(status.error_code(), code) << status.error_message();
        EXPECT_EQ(trailer(*context_, "exception"), exception);
        EXPECT_EQ(trailer(*context_, "stream-name"), stream);
        EXPECT_EQ(trailer(*context_, "group-name"), "g");
    }
    void expect_ended(consumer& which, StatusCode code, const std::string& exception) {
        const auto status = end(which);
        EXPECT_EQ(status.error_code(), code) << status.error_message();
        EXPECT_EQ(trailer(*which.context, "exception"), exception);
        EXPECT_EQ(trailer(*which.context, "group-name"), "g");
    }

    base::system_clock clock_;
    base::seeded_random random_{11};
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    std::unique_ptr<group_registry> registry_;
    std::unique_ptr<wire::PersistentSubscriptions::Stub> stub_;
    std::unique_ptr<grpc::ClientContext> context_;
};

} // namespace immortal::esdb
