// The services that need users, over a real client: Users, Projections, and who is let in.
#include "esdb/access_control.hpp"
#include "esdb/projections_service.hpp"
#include "esdb/server_fixture.hpp"
#include "esdb/users_service.hpp"
#include "esproto/wire/projections.grpc.pb.h"
#include "esproto/wire/users.grpc.pb.h"
#include "eventstore/memory_store.hpp"

#include <sodium.h>

namespace immortal::esdb {
namespace {

namespace users_wire = ::event_store::client::users;
namespace projections_wire = ::event_store::client::projections;
using grpc::StatusCode;

class secured_test : public server_fixture {
protected:
    void SetUp() override {
        server_fixture::SetUp();
        directory_ =
            std::make_unique<user_directory>(*store_, hasher_, clock_, random_, engine_.executor());
        auto made = engine_.run(directory_->start());
        ASSERT_TRUE(made.has_value() && made->has_value());
        password_ = (*made)->password;
        rules_ = make_access_control(*directory_, *store_, {});
        add_users(methods_, *rules_, directory_.get());
        add_projections(methods_, *rules_, *store_);
        start();
        users_ = users_wire::Users::NewStub(channel_);
    }
    void TearDown() override {
        server_->stop(std::chrono::milliseconds(500));
        engine_.run(directory_->stop());
        server_fixture::TearDown();
        hasher_.stop();
    }

    static std::unique_ptr<grpc::ClientContext> as(const std::string& login,
                                                   const std::string& password) {
        const std::string plain = login + ":" + password;
        std::string encoded(sodium_base64_encoded_len(plain.size(), sodium_base64_VARIANT_ORIGINAL),
                            '\0');
        sodium_bin2base64(encoded.data(), encoded.size(),
                          reinterpret_cast<const unsigned char*>(plain.data()), plain.size(),
                          sodium_base64_VARIANT_ORIGINAL);
        encoded.pop_back();
        auto context = make_context();
        context->AddMetadata("authorization", "Basic " + encoded);
        return context;
    }
    std::unique_ptr<grpc::ClientContext> as_admin() { return as("admin", password_); }

    grpc::Status create(grpc::ClientContext& context, const std::string& login,
                        const std::string& password) {
        users_wire::CreateReq request;
        request.mutable_options()->set_login_name(login);
        request.mutable_options()->set_password(password);
        users_wire::CreateResp response;
        return users_->Create(&context, request, &response);
    }
    std::vector<std::string> logins(grpc::ClientContext& context, const std::string& login,
                                    grpc::Status& status) {
        users_wire::DetailsReq request;
        request.mutable_options()->set_login_name(login);
        auto reader = users_->Details(&context, request);
        std::vector<std::string> out;
        users_wire::DetailsResp response;
        while (reader->Read(&response)) {
            out.push_back(response.user_details().login_name());
        }
        status = reader->Finish();
        return out;
    }

    base::system_clock clock_;
    base::system_random random_;
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    accounts::password_hasher hasher_{
        {.memory_bytes = 8192, .passes = 1, .at_once = 1, .queue_max = 64}};
    std::unique_ptr<user_directory> directory_;
    std::string password_;
    std::unique_ptr<users_wire::Users::Stub> users_;
};

TEST_F(secured_test, an_administrator_manages_users) {
    auto context = as_admin();
    ASSERT_TRUE(create(*context, "alice", "correct horse").ok());
    context = as_admin();
    const auto again = create(*context, "alice", "correct horse");
    EXPECT_EQ(again.error_code(), StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(trailer(*context, "exception"), "user-conflict");
    EXPECT_EQ(trailer(*context, "login-name"), "alice");
    grpc::Status status;
    context = as_admin();
    EXPECT_EQ(logins(*context, "", status), (std::vector<std::string>{"admin", "alice"}));
    EXPECT_TRUE(status.ok());
    context = as_admin();
    EXPECT_TRUE(logins(*context, "nobody", status).empty());
    EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
    EXPECT_EQ(trailer(*context, "exception"), "user-not-found");
}

TEST_F(secured_test, others_may_look_after_themselves_only) {
    auto context = as_admin();
    ASSERT_TRUE(create(*context, "alice", "correct horse").ok());
    context = as("alice", "correct horse");
    EXPECT_EQ(create(*context, "bob", "battery staple").error_code(),
              StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(trailer(*context, "exception"), "access-denied");
    grpc::Status status;
    context = as("alice", "correct horse");
    EXPECT_EQ(logins(*context, "alice", status), std::vector<std::string>{"alice"});
    users_wire::ChangePasswordReq request;
    request.mutable_options()->set_login_name("alice");
    request.mutable_options()->set_current_password("correct horse");
    request.mutable_options()->set_new_password("battery staple");
    users_wire::ChangePasswordResp response;
    context = as("alice", "correct horse");
    EXPECT_TRUE(users_->ChangePassword(context.get(), request, &response).ok());
    context = as("alice", "correct horse");
    (void)logins(*context, "alice", status);
    EXPECT_EQ(status.error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(secured_test, without_credentials_or_with_wrong_ones_nothing_is_served) {
    auto context = make_context();
    EXPECT_EQ(create(*context, "bob", "battery staple").error_code(),
              StatusCode::PERMISSION_DENIED);
    context = as("admin", "changeit");
    EXPECT_EQ(create(*context, "bob", "battery staple").error_code(), StatusCode::UNAUTHENTICATED);
    context = make_context();
    context->AddMetadata("authorization", "Nonsense");
    EXPECT_EQ(create(*context, "bob", "battery staple").error_code(), StatusCode::UNAUTHENTICATED);
    auto stub = projections_wire::Projections::NewStub(channel_);
    projections_wire::CreateReq request;
    projections_wire::CreateResp response;
    context = make_context();
    EXPECT_EQ(stub->Create(context.get(), request, &response).error_code(),
              StatusCode::PERMISSION_DENIED);
    context = as_admin();
    EXPECT_EQ(stub->Create(context.get(), request, &response).error_code(),
              StatusCode::UNIMPLEMENTED);
}

TEST_F(secured_test, stream_rights_follow_the_lists_at_once) {
    const auto allowed = [&](const std::string& who, stream_right right, std::string stream) {
        return engine_
            .run(
                rules_->may_access(directory_->find(who)->as_principal(), right, std::move(stream)))
            .has_value();
    };
    auto context = as_admin();
    ASSERT_TRUE(create(*context, "alice", "correct horse").ok());
    EXPECT_TRUE(allowed("alice", stream_right::write, "player-1"));
    EXPECT_FALSE(allowed("alice", stream_right::read, "$all"));
    EXPECT_FALSE(allowed("alice", stream_right::read, "$user-admin"));
    const auto write = [&](std::string stream, std::string data) {
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = std::move(stream);
        writes[0].events.push_back({.id = base::uuid::make_random(random_),
                                    .type = "$metadata",
                                    .data = std::move(data),
                                    .metadata = {}});
        return engine_.run(store_->append(std::move(writes))).has_value();
    };
    ASSERT_TRUE(write("$$player-1", R"({"$acl":{"$w":"$admins"}})"));
    EXPECT_FALSE(allowed("alice", stream_right::write, "player-1"));
    EXPECT_TRUE(allowed("admin", stream_right::write, "player-1"));
    EXPECT_TRUE(allowed("alice", stream_right::write, "player-2"));
    ASSERT_TRUE(write("$settings", R"({"$userStreamAcl":{"$w":"$admins"}})"));
    EXPECT_FALSE(allowed("alice", stream_right::write, "player-2"));
}

TEST_F(secured_test, no_list_opens_a_stream_on_which_the_server_relies) {
    const auto write = [&](std::string stream, std::string data,
                           eventstore::stream_write::action what) {
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = std::move(stream);
        writes[0].what = what;
        if (!data.empty()) {
            writes[0].events.push_back({.id = base::uuid::make_random(random_),
                                        .type = "$metadata",
                                        .data = std::move(data),
                                        .metadata = {}});
        }
        return engine_.run(store_->append(std::move(writes))).has_value();
    };
    const principal alice{.name = "alice", .groups = {}};
    const auto allowed = [&](stream_right right, std::string stream) {
        return engine_.run(rules_->may_access(alice, right, std::move(stream)));
    };
    constexpr auto append = eventstore::stream_write::action::append;
    const std::string open = R"({"$r":"$all","$w":"$all","$d":"$all","$mr":"$all","$mw":"$all"})";
    ASSERT_TRUE(write("$settings", R"({"$systemStreamAcl":)" + open + "}", append));
    for (const char* stream : {"$settings", "$$$settings", "$user-bob", "$$$user-bob", "$users",
                               "$scavenges", "$persistentSubscriptionConfig"}) {
        ASSERT_TRUE(stream[1] == '$' ||
                    write(std::string("$$") + stream, R"({"$acl":)" + open + "}", append));
        EXPECT_TRUE(allowed(stream_right::read, stream)) << stream;
        EXPECT_EQ(allowed(stream_right::write, stream).error().code, base::errc::forbidden);
        EXPECT_EQ(allowed(stream_right::remove, stream).error().code, base::errc::forbidden);
    }
    EXPECT_TRUE(allowed(stream_right::write, "$mine"));
    // What is understood in part does not hold in part.
    ASSERT_TRUE(
        write("$settings", R"({"$userStreamAcl":{"$w":"$admins"},"$systemStreamAcl":5})", append));
    EXPECT_TRUE(allowed(stream_right::write, "player-1"));
    EXPECT_EQ(allowed(stream_right::write, "$mine").error().code, base::errc::forbidden);
    // Without its settings the built-in lists hold.
    ASSERT_TRUE(write("$settings", "", eventstore::stream_write::action::tombstone));
    EXPECT_TRUE(allowed(stream_right::write, "player-1"));
    EXPECT_EQ(allowed(stream_right::write, "$mine").error().code, base::errc::forbidden);
}

} // namespace
} // namespace immortal::esdb
