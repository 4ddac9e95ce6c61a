// A server and its clients, for what callers can make it hold.
#pragma once

#include "esdb/protocol_server.hpp"
#include "esdb/raw_client_testing.hpp"
#include "esdb/server_fixture.hpp"
#include "esproto/event.hpp"
#include "esproto/wire/streams.grpc.pb.h"
#include "esproto/wire/streams_v2.grpc.pb.h"
#include "eventstore/memory_store.hpp"

#include <fstream>
#include <grpcpp/generic/generic_stub.h>
#include <iostream>

namespace immortal::esdb {

namespace client = ::event_store::client;
namespace v2 = ::kurrentdb::protocol::v2::streams;
using client::streams::Streams;
using grpc::StatusCode;
using std::chrono::milliseconds;

inline constexpr const char* records_method =
    "/kurrentdb.protocol.v2.streams.StreamsService/AppendRecords";
inline constexpr const char* session_method =
    "/kurrentdb.protocol.v2.streams.StreamsService/AppendSession";
inline constexpr const char* append_method = "/event_store.client.streams.Streams/Append";
inline constexpr const char* batch_method = "/event_store.client.streams.Streams/BatchAppend";
inline constexpr std::size_t mebibyte = 1u << 20;

// AddressSanitizer keeps what was freed: there is no measuring memory there.
#if __has_feature(address_sanitizer)
inline constexpr bool memory_is_measured = false;
#else
inline constexpr bool memory_is_measured = true;
#endif

// Of this process.
inline std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

inline void expect_growth_below(std::size_t growth, std::size_t bound) {
    if (memory_is_measured) {
        EXPECT_LT(growth, bound);
    } else {
        std::cout << "SKIPPED, NOT TESTED HERE: the growth of memory; the dev preset measures it\n";
    }
}

class intake_test : public server_fixture {
protected:
    void serve(protocol_settings settings) {
        settings.server.port = 0;
        node_ = std::make_unique<protocol_server>(engine_, *store_, clock_, random_, settings);
        const auto started = node_->start();
        ASSERT_TRUE(started) << started.error().message;
        channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(node_->port()),
                                       grpc::InsecureChannelCredentials());
        streams_ = Streams::NewStub(channel_);
        records_ = v2::StreamsService::NewStub(channel_);
    }
    void TearDown() override {
        if (node_ != nullptr) {
            node_->stop(milliseconds(500));
        }
        node_.reset();
        server_fixture::TearDown();
    }

    // The largest growth of the process while `calls` clients send a message each but for its last
    // byte, until the server has ended every call.
    std::size_t growth_of_stalled(const char* method, int calls,
                                  const std::optional<std::string>& first = std::nullopt) {
        const std::size_t before = resident_bytes();
        std::size_t most = before;
        raw_client raw(node_->port());
        for (int i = 0; i < calls; ++i) {
            raw.begin(method, 64 * mebibyte, {}, first);
        }
        const auto until = std::chrono::steady_clock::now() + patience;
        while (raw.open_calls() > 0 && std::chrono::steady_clock::now() < until && raw.turn()) {
            most = std::max(most, resident_bytes());
        }
        EXPECT_EQ(raw.open_calls(), 0u) << "the server ends what does not come";
        return most - before;
    }

    // An append of one event, as the official clients make it.
    grpc::Status append(const std::string& stream) {
        const auto context = make_context();
        client::streams::AppendResp response;
        const auto writer = streams_->Append(context.get(), &response);
        client::streams::AppendReq message;
        message.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        message.mutable_options()->mutable_any();
        (void)writer->Write(message);
        message.Clear();
        auto& event = *message.mutable_proposed_message();
        esproto::write_uuid(base::uuid::make_random(random_), esproto::uuid_form::string,
                            *event.mutable_id());
        (*event.mutable_metadata())["type"] = "Happened";
        (*event.mutable_metadata())["content-type"] = "application/json";
        (void)writer->Write(message);
        (void)writer->WritesDone();
        return writer->Finish();
    }

    // The beginning of one; the rest does not come.
    struct paused_append {
        std::unique_ptr<grpc::ClientContext> context = make_context();
        client::streams::AppendResp response = {};
        std::unique_ptr<grpc::ClientWriter<client::streams::AppendReq>> writer = {};
    };
    std::unique_ptr<paused_append> pause_append() {
        auto one = std::make_unique<paused_append>();
        one->writer = streams_->Append(one->context.get(), &one->response);
        client::streams::AppendReq message;
        message.mutable_options()->mutable_stream_identifier()->set_stream_name("paused");
        message.mutable_options()->mutable_any();
        EXPECT_TRUE(one->writer->Write(message));
        return one;
    }

    // A call of one message.
    grpc::Status send_bytes(const std::string& method, const std::string& bytes) {
        const grpc::Slice slice(bytes);
        grpc::GenericStub stub(channel_);
        grpc::CompletionQueue queue;
        const auto context = make_context();
        const auto call =
            stub.PrepareUnaryCall(context.get(), method, grpc::ByteBuffer(&slice, 1), &queue);
        call->StartCall();
        grpc::ByteBuffer answer;
        grpc::Status status;
        call->Finish(&answer, &status, nullptr);
        void* tag = nullptr;
        bool ok = false;
        (void)queue.Next(&tag, &ok);
        queue.Shutdown();
        return status;
    }

    // One call without a single message.
    grpc::Status silent(const std::string& method) {
        grpc::GenericStub stub(channel_);
        grpc::CompletionQueue queue;
        const auto context = make_context();
        const auto call = stub.PrepareCall(context.get(), method, &queue);
        void* tag = nullptr;
        bool ok = false;
        grpc::Status status;
        call->StartCall(nullptr);
        (void)queue.Next(&tag, &ok);
        call->Finish(&status, nullptr);
        (void)queue.Next(&tag, &ok);
        queue.Shutdown();
        return status;
    }

    grpc::Status send_records(std::size_t record_bytes, int records) {
        v2::AppendRecordsRequest request;
        for (int i = 0; i < records; ++i) {
            auto& record = *request.add_records();
            record.set_stream("s");
            record.mutable_schema()->set_name("Happened");
            record.mutable_schema()->set_format(v2::SCHEMA_FORMAT_BYTES);
            record.set_data(std::string(record_bytes, 'x'));
        }
        v2::AppendRecordsResponse response;
        const auto context = make_context();
        return records_->AppendRecords(context.get(), request, &response);
    }

    base::system_clock clock_;
    base::system_random random_;
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    std::unique_ptr<protocol_server> node_;
    std::unique_ptr<Streams::Stub> streams_;
    std::unique_ptr<v2::StreamsService::Stub> records_;
};

} // namespace immortal::esdb
