// A server on a free loopback port, and channels of a real client to it.
#pragma once

#include "esdb/server.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <memory>
#include <string>

namespace immortal::esdb {

class server_fixture : public testing::Test {
protected:
    static constexpr auto patience = std::chrono::seconds(60);

    void SetUp() override { engine_.start(); }
    void TearDown() override {
        if (server_ != nullptr) {
            server_->stop(std::chrono::milliseconds(500));
        }
        server_.reset();
        engine_.stop();
    }

    static server_settings test_settings() {
        server_settings settings;
        settings.port = 0;
        return settings;
    }

    // After the methods are added.
    void start(server_settings settings = test_settings()) {
        server_ = std::make_unique<server>(engine_, std::move(settings), methods_, *rules_);
        const auto started = server_->start();
        ASSERT_TRUE(started) << started.error().message;
        channel_ = make_channel("127.0.0.1");
    }

    std::shared_ptr<grpc::Channel> make_channel(const std::string& address) {
        grpc::ChannelArguments arguments;
        arguments.SetMaxReceiveMessageSize(-1);
        arguments.SetInt("grpc.use_local_subchannel_pool", 1); // a connection of its own
        return grpc::CreateCustomChannel(address + ":" + std::to_string(server_->port()),
                                         grpc::InsecureChannelCredentials(), arguments);
    }

    // With a deadline that no test reaches.
    static std::unique_ptr<grpc::ClientContext> make_context() {
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

    runtime::engine engine_;
    method_table methods_;
    std::unique_ptr<authorizer> rules_ = make_open_authorizer();
    std::unique_ptr<server> server_;
    std::shared_ptr<grpc::Channel> channel_;
};

} // namespace immortal::esdb
