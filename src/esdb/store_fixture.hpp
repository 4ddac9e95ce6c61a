// The whole protocol over each adapter of the event store, and a small language for its clients.
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "esdb/protocol_server.hpp"
#include "esproto/event.hpp"
#include "esproto/wire/streams.grpc.pb.h"
#include "eventlog/log.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/memory_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <grpcpp/create_channel.h>
#include <memory>
#include <string>
#include <vector>

namespace immortal::esdb {

enum class adapter { memory, embedded };

class store_fixture : public testing::TestWithParam<adapter> {
public:
    using read_request = ::event_store::client::streams::ReadReq;
    using read_response = ::event_store::client::streams::ReadResp;
    using append_request = ::event_store::client::streams::AppendReq;
    using append_response = ::event_store::client::streams::AppendResp;
    using context_pointer = std::unique_ptr<grpc::ClientContext>;
    static constexpr auto patience = std::chrono::seconds(60);
    static constexpr std::int64_t any = esproto::expected::any;
    static constexpr std::int64_t no_stream = esproto::expected::no_stream;
    static constexpr std::int64_t exists = esproto::expected::stream_exists;

protected:
    void SetUp() override {
        engine_.start();
        if (GetParam() == adapter::embedded) {
            std::string pattern =
                (std::filesystem::temp_directory_path() / "immortal-esdb-XXXXXX").string();
            folder_ = mkdtemp(pattern.data());
            auto opened = eventlog::log::open({.folder = folder_ + "/log", .free_space_min = 0},
                                              files_, clock_, random_, nullptr);
            ASSERT_TRUE(opened) << opened.error().message;
            log_ = std::move(*opened);
            store_ = eventstore::make_embedded_store(*log_);
        } else {
            store_ = eventstore::make_memory_store(clock_);
        }
        protocol_settings settings;
        settings.server.port = 0;
        settings.write_limit = patience;
        change(settings);
        server_ = std::make_unique<protocol_server>(engine_, *store_, clock_, random_, settings);
        const auto started = server_->start();
        ASSERT_TRUE(started) << started.error().message;
        channel_ = make_channel();
        streams_ = ::event_store::client::streams::Streams::NewStub(channel_);
    }
    virtual void change(protocol_settings& /*settings*/) {} // of a test
    void TearDown() override {
        server_->stop(std::chrono::milliseconds(500));
        server_.reset();
        engine_.stop();
        store_.reset();
        log_.reset();
        if (!folder_.empty()) {
            std::filesystem::remove_all(folder_);
        }
    }

    std::shared_ptr<grpc::Channel> make_channel() {
        grpc::ChannelArguments arguments;
        arguments.SetMaxReceiveMessageSize(-1);
        arguments.SetInt("grpc.use_local_subchannel_pool", 1);
        return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                         grpc::InsecureChannelCredentials(), arguments);
    }
    static context_pointer make_context() {
        auto context = std::make_unique<grpc::ClientContext>();
        context->set_deadline(std::chrono::system_clock::now() + patience);
        return context;
    }
    static std::string trailer(const grpc::ClientContext& context, const std::string& key) {
        const auto& all = context.GetServerTrailingMetadata();
        const auto found = all.find(key);
        return found == all.end() ? "(none)"
                                  : std::string(found->second.data(), found->second.size());
    }

    // An event whose identifier is `number`.
    template <typename Proposed>
    static void propose(std::uint64_t number, Proposed& out, const std::string& type = "Happened",
                        std::string data = "{}") {
        base::uuid id;
        id.bytes[0] = 1;
        for (std::size_t i = 0; i < 8; ++i) {
            id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
        }
        esproto::write_uuid(id, esproto::uuid_form::string, *out.mutable_id());
        (*out.mutable_metadata())["type"] = type;
        (*out.mutable_metadata())["content-type"] = "application/json";
        out.set_data(std::move(data));
        out.set_custom_metadata(R"({"n":)" + std::to_string(number) + "}");
    }

    struct append_result {
        grpc::Status status;
        append_response response;
        context_pointer context;
    };
    append_result append(const std::string& stream, std::int64_t expected,
                         const std::vector<std::uint64_t>& numbers,
                         const std::string& type = "Happened", const std::string& data = "{}") {
        append_result out{{}, {}, make_context()};
        const auto writer = streams_->Append(out.context.get(), &out.response);
        append_request message;
        message.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        esproto::write_expected(expected, *message.mutable_options());
        bool open = writer->Write(message);
        for (std::size_t i = 0; open && i < numbers.size(); ++i) {
            message.Clear();
            propose(numbers[i], *message.mutable_proposed_message(), type, data);
            open = writer->Write(message);
        }
        (void)writer->WritesDone();
        out.status = writer->Finish();
        return out;
    }
    // Must succeed; the position of the last event.
    std::uint64_t write(const std::string& stream, const std::vector<std::uint64_t>& numbers,
                        const std::string& type = "Happened") {
        const auto out = append(stream, any, numbers, type);
        EXPECT_TRUE(out.status.ok()) << out.status.error_message();
        EXPECT_TRUE(out.response.has_success());
        return out.response.success().position().commit_position();
    }

    static read_request read_of_stream(const std::string& stream, std::uint64_t count = 1000) {
        read_request request;
        auto& options = *request.mutable_options();
        options.mutable_stream()->mutable_stream_identifier()->set_stream_name(stream);
        options.mutable_stream()->mutable_start();
        options.set_count(count);
        options.mutable_no_filter();
        options.mutable_uuid_option()->mutable_string();
        return request;
    }
    static read_request read_of_all(std::uint64_t count = 1000) {
        read_request request;
        auto& options = *request.mutable_options();
        options.mutable_all()->mutable_start();
        options.set_count(count);
        options.mutable_no_filter();
        options.mutable_uuid_option()->mutable_string();
        return request;
    }
    static read_request subscription(read_request request) {
        request.mutable_options()->mutable_subscription();
        return request;
    }

    struct read_result {
        grpc::Status status;
        std::vector<read_response> messages;
        context_pointer context;

        [[nodiscard]] std::vector<std::uint64_t> revisions() const {
            std::vector<std::uint64_t> out;
            for (const auto& message : messages) {
                if (message.has_event()) {
                    out.push_back(message.event().event().stream_revision());
                }
            }
            return out;
        }
    };
    read_result read(const read_request& request) {
        read_result out{{}, {}, make_context()};
        const auto reader = streams_->Read(out.context.get(), request);
        read_response message;
        while (reader->Read(&message)) {
            out.messages.push_back(message);
        }
        out.status = reader->Finish();
        return out;
    }
    // Names of the user events seen, in order: "stream/revision".
    static std::vector<std::string> places(const std::vector<read_response>& messages) {
        std::vector<std::string> out;
        for (const auto& message : messages) {
            const auto& event = message.event().event();
            if (message.has_event() && !event.stream_identifier().stream_name().starts_with('$')) {
                out.push_back(event.stream_identifier().stream_name() + "/" +
                              std::to_string(event.stream_revision()));
            }
        }
        return out;
    }

    runtime::engine engine_;
    base::posix_file_system files_;
    base::system_clock clock_;
    base::system_random random_;
    std::string folder_;
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<eventstore::event_store> store_;
    std::unique_ptr<protocol_server> server_;
    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<::event_store::client::streams::Streams::Stub> streams_;
};

inline std::string adapter_name(const testing::TestParamInfo<adapter>& info) {
    return info.param == adapter::memory ? "memory" : "embedded";
}

} // namespace immortal::esdb
