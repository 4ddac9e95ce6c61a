// Who may call what: every method that the server announces has a row here, and a row for every
// other way to what a caller may not read.
#include "base/patience_testing.hpp"
#include "esdb/protocol_server.hpp"
#include "esdb/server_fixture.hpp"
#include "esproto/event.hpp"
#include "esproto/wire/monitoring.pb.h"
#include "esproto/wire/operations.pb.h"
#include "esproto/wire/persistent_subscriptions.pb.h"
#include "esproto/wire/projections.pb.h"
#include "esproto/wire/server_features.grpc.pb.h"
#include "esproto/wire/streams.pb.h"
#include "esproto/wire/streams_v2.pb.h"
#include "esproto/wire/users.pb.h"
#include "eventstore/memory_store.hpp"

#include <sodium.h>

#include <functional>
#include <grpcpp/generic/generic_stub.h>
#include <set>

namespace immortal::esdb {
namespace {

namespace client = ::event_store::client;
namespace v2 = ::kurrentdb::protocol::v2::streams;
using grpc::StatusCode;

// Nobody known; a user; a member of $ops; the administrator. A letter says who may.
constexpr std::string_view everybody = "nuoa";
constexpr std::string_view logins = "uoa";
constexpr std::string_view operators = "oa";
constexpr std::string_view admin_only = "a";
constexpr std::string_view nobody;

struct row {
    std::string method; // path
    std::string request;
    std::string_view allowed;
    std::string name = {};
};

std::string options_of_read(const std::function<void(client::streams::ReadReq::Options&)>& fill) {
    client::streams::ReadReq request;
    auto& options = *request.mutable_options();
    options.set_count(1);
    options.mutable_no_filter();
    fill(options);
    return request.SerializeAsString();
}

std::string read_of(const std::string& stream) {
    return options_of_read([&](auto& options) {
        options.mutable_stream()->mutable_stream_identifier()->set_stream_name(stream);
        options.mutable_stream()->mutable_start();
    });
}

std::string read_of_all(const std::string& prefix, bool subscribe) {
    return options_of_read([&](auto& options) {
        options.mutable_all()->mutable_start();
        if (!prefix.empty()) {
            options.mutable_filter()->mutable_stream_identifier()->add_prefix(prefix);
            options.mutable_filter()->set_max(32);
            options.mutable_filter()->set_checkpointintervalmultiplier(1);
        }
        if (subscribe) {
            options.mutable_subscription();
        }
    });
}

template <typename Request>
std::string named(const std::string& stream) {
    Request request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    request.mutable_options()->mutable_any();
    return request.SerializeAsString();
}

std::string batch_to(const std::string& stream, bool whole = true) {
    client::streams::BatchAppendReq request;
    request.mutable_correlation_id()->set_string("00000000-0000-0000-0000-000000000001");
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    request.mutable_options()->mutable_no_stream();
    request.set_is_final(whole);
    return request.SerializeAsString();
}

void fill_record(v2::AppendRecord& record) {
    record.mutable_schema()->set_name("Happened");
    record.mutable_schema()->set_format(v2::SCHEMA_FORMAT_JSON);
    record.set_data("{}");
}

std::string session_to(const std::string& stream) {
    v2::AppendRequest request;
    request.set_stream(stream);
    fill_record(*request.add_records());
    return request.SerializeAsString();
}

// Records to `stream`, and a check of another one.
std::string records_to(const std::string& stream, const std::string& checked = {}) {
    v2::AppendRecordsRequest request;
    request.add_records()->set_stream(stream);
    fill_record(*request.mutable_records(0));
    if (!checked.empty()) {
        auto& state = *request.add_checks()->mutable_stream_state();
        state.set_stream(checked);
        state.set_expected_state(7);
    }
    return request.SerializeAsString();
}

template <typename Request>
std::string of_group(const std::string& stream) {
    Request request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    request.mutable_options()->set_group_name("g");
    return request.SerializeAsString();
}

std::string consumer_of(const std::string& stream) {
    client::persistent_subscriptions::ReadReq request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    request.mutable_options()->set_group_name("none");
    request.mutable_options()->set_buffer_size(1);
    return request.SerializeAsString();
}

template <typename Request>
std::string about_login(const std::string& login) {
    Request request;
    request.mutable_options()->set_login_name(login);
    return request.SerializeAsString();
}

std::vector<row> rows() {
    using namespace client::persistent_subscriptions;
    namespace users = client::users;
    const std::string streams = "/event_store.client.streams.Streams/";
    const std::string records = "/kurrentdb.protocol.v2.streams.StreamsService/";
    const std::string groups =
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/";
    const std::string accounts = "/event_store.client.users.Users/";
    const std::string projections = "/event_store.client.projections.Projections/";
    const std::string operations = "/event_store.client.operations.Operations/";
    std::vector<row> all = {
        {streams + "Read", read_of("open"), logins, "a stream"},
        {streams + "Read", read_of("secret"), admin_only, "a stream with an access list"},
        {streams + "Read", read_of("$$open"), logins, "metadata"},
        {streams + "Read", read_of("$$secret"), admin_only, "metadata with an access list"},
        {streams + "Read", read_of("$user-admin"), admin_only, "a system stream"},
        {streams + "Read", read_of("$ce-open"), admin_only, "a view"},
        {streams + "Read", read_of("$all"), admin_only, "everything by its name"},
        {streams + "Read", read_of_all("", false), admin_only, "everything"},
        {streams + "Read", read_of_all("open", false), admin_only, "everything, filtered"},
        {streams + "Read", read_of_all("", true), admin_only, "everything, subscribed"},
        {streams + "Read", read_of_all("open", true), admin_only, "everything, both"},
        {streams + "Append", named<client::streams::AppendReq>("open"), logins},
        {streams + "Append", named<client::streams::AppendReq>("secret"), admin_only},
        {streams + "Append", named<client::streams::AppendReq>("$$secret"), admin_only},
        {streams + "BatchAppend", batch_to("open"), logins},
        {streams + "BatchAppend", batch_to("secret"), admin_only},
        {streams + "Delete", named<client::streams::DeleteReq>("gone-1"), logins},
        {streams + "Delete", named<client::streams::DeleteReq>("secret-2"), admin_only},
        {streams + "Tombstone", named<client::streams::TombstoneReq>("gone-2"), logins},
        {streams + "Tombstone", named<client::streams::TombstoneReq>("secret-3"), admin_only},
        {records + "AppendSession", session_to("open"), logins},
        {records + "AppendSession", session_to("secret"), admin_only},
        {streams + "Append", named<client::streams::AppendReq>("kept-1"), nobody, "kept"},
        {streams + "Append", named<client::streams::AppendReq>("$$kept-1"), nobody, "kept"},
        {streams + "BatchAppend", batch_to("kept-1"), nobody, "kept"},
        {streams + "BatchAppend", batch_to("$$kept-1"), nobody, "kept"},
        {streams + "Delete", named<client::streams::DeleteReq>("kept-1"), nobody, "kept"},
        {streams + "Tombstone", named<client::streams::TombstoneReq>("kept-1"), nobody, "kept"},
        {streams + "Tombstone", named<client::streams::TombstoneReq>("$$kept-1"), nobody, "kept"},
        {records + "AppendSession", session_to("kept-1"), nobody, "kept"},
        {records + "AppendSession", session_to("$$kept-1"), nobody, "kept"},
        {records + "AppendRecords", records_to("kept-1"), nobody, "kept"},
        {records + "AppendRecords", records_to("$$kept-1"), nobody, "kept"},
        {records + "AppendRecords", records_to("open", "kept-1"), logins, "a check of one kept"},
        {streams + "Read", read_of("kept-1"), logins, "kept"},
        {groups + "Create", of_group<CreateReq>("kept-1"), operators, "kept"},
        {records + "AppendRecords", records_to("open"), logins},
        {records + "AppendRecords", records_to("open", "other"), logins, "a check"},
        {records + "AppendRecords", records_to("secret"), admin_only},
        {records + "AppendRecords", records_to("open", "secret"), admin_only, "a check elsewhere"},
        {records + "AppendRecords", records_to("open", "$user-admin"), admin_only, "of a user"},
        {groups + "Create", of_group<CreateReq>("open"), operators},
        {groups + "Update", of_group<UpdateReq>("open"), operators},
        {groups + "Delete", of_group<DeleteReq>("none"), operators},
        {groups + "GetInfo", of_group<GetInfoReq>("open"), operators},
        {groups + "ReplayParked", of_group<ReplayParkedReq>("open"), operators},
        {groups + "List", ListReq().SerializeAsString(), operators},
        {groups + "RestartSubsystem", "", operators},
        {groups + "Read", consumer_of("open"), logins},
        {groups + "Read", consumer_of("secret"), admin_only},
        {groups + "Read", consumer_of("$user-admin"), admin_only},
        {accounts + "Create", about_login<users::CreateReq>("x"), admin_only},
        {accounts + "Update", about_login<users::UpdateReq>("x"), admin_only},
        {accounts + "Delete", about_login<users::DeleteReq>("x"), admin_only},
        {accounts + "Enable", about_login<users::EnableReq>("x"), admin_only},
        {accounts + "Disable", about_login<users::DisableReq>("x"), admin_only},
        {accounts + "ResetPassword", about_login<users::ResetPasswordReq>("x"), admin_only},
        {accounts + "ChangePassword", about_login<users::ChangePasswordReq>("x"), admin_only},
        {accounts + "Details", about_login<users::DetailsReq>(""), admin_only, "of everybody"},
        {accounts + "Details", about_login<users::DetailsReq>("olga"), operators, "one's own"},
        {projections + "Statistics", "", operators},
        {operations + "StopScavenge", "", operators},
        {"/event_store.client.monitoring.Monitoring/Stats", "", logins},
        {"/event_store.client.gossip.Gossip/Read", "", everybody},
        {"/event_store.client.server_features.ServerFeatures/GetSupportedMethods", "", everybody},
    };
    for (const char* one : {"Create", "Update", "Delete", "Disable", "Enable", "Reset", "State",
                            "Result", "RestartSubsystem"}) {
        all.push_back({projections + one, "", operators});
    }
    for (const char* one : {"StartScavenge", "Shutdown", "MergeIndexes", "ResignNode",
                            "SetNodePriority", "RestartPersistentSubscriptions"}) {
        all.push_back({operations + one, "", operators});
    }
    return all;
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

class access_table : public server_fixture {
protected:
    void SetUp() override {
        server_fixture::SetUp();
        protocol_settings settings;
        settings.server.port = 0;
        settings.security = security_settings{.hash_bytes = 8192, .hash_passes = 1};
        settings.kept = {{.name = "kept-", .instead = "ask the keeper"}};
        node_ = std::make_unique<protocol_server>(engine_, *store_, clock_, random_, settings);
        const auto started = node_->start();
        ASSERT_TRUE(started) << started.error().message;
        channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(node_->port()),
                                       grpc::InsecureChannelCredentials());
        generic_ = std::make_unique<grpc::GenericStub>(channel_);
        passwords_ = {{'u', basic("ursula", "correct horse")},
                      {'o', basic("olga", "correct horse")},
                      {'a', basic("admin", node_->first_administrator().value().password)}};
        add_user("ursula", {});
        add_user("olga", {"$ops"});
        for (const char* stream : {"open", "other", "secret", "secret-2", "secret-3"}) {
            write(stream, "Happened", "{}");
        }
        for (const char* stream : {"$$secret", "$$secret-2", "$$secret-3"}) {
            write(stream, "$metadata",
                  R"({"$acl":{"$r":"$admins","$w":"$admins","$d":"$admins",)"
                  R"("$mr":"$admins","$mw":"$admins"}})");
        }
    }
    void TearDown() override {
        node_->stop(std::chrono::milliseconds(500));
        node_.reset();
        server_fixture::TearDown();
    }

    static std::string basic(const std::string& login, const std::string& password) {
        const std::string plain = login + ":" + password;
        std::string encoded(sodium_base64_encoded_len(plain.size(), sodium_base64_VARIANT_ORIGINAL),
                            '\0');
        sodium_bin2base64(encoded.data(), encoded.size(),
                          reinterpret_cast<const unsigned char*>(plain.data()), plain.size(),
                          sodium_base64_VARIANT_ORIGINAL);
        encoded.pop_back();
        return "Basic " + encoded;
    }
    void write(const std::string& stream, const std::string& type, const std::string& data) {
        std::vector<eventstore::stream_write> writes(1);
        writes[0].stream = stream;
        writes[0].events.push_back(
            {.id = base::uuid::make_random(random_),
             .type = type,
             .data = data,
             .metadata = {},
             .format = type == "$>" ? eventlog::content::binary : eventlog::content::json});
        const auto done = engine_.run(store_->append(std::move(writes)));
        ASSERT_TRUE(done) << done.error().message;
    }
    void add_user(const std::string& login, const std::vector<std::string>& groups) {
        client::users::CreateReq request;
        request.mutable_options()->set_login_name(login);
        request.mutable_options()->set_password("correct horse");
        request.mutable_options()->mutable_groups()->Assign(groups.begin(), groups.end());
        const auto out =
            call('a', "/event_store.client.users.Users/Create", request.SerializeAsString());
        ASSERT_TRUE(out.status.ok()) << out.status.error_message();
    }

    struct outcome {
        grpc::Status status; // OK as well when the call goes on
        std::vector<std::string> answers;
    };
    // Calls as that letter. Without a request nothing is sent at all. Ends the call after
    // `answers_max` answers.
    enum class ending : std::uint8_t { sent, open }; // of the client's messages
    outcome call(char who, const std::string& method, const std::optional<std::string>& request,
                 std::size_t answers_max = 1, ending after = ending::sent) {
        auto context = make_context();
        if (who != 'n') {
            context->AddMetadata("authorization", passwords_.at(who));
        }
        grpc::CompletionQueue queue;
        const auto turn = [&queue] {
            void* tag = nullptr;
            bool ok = false;
            return queue.Next(&tag, &ok) && ok;
        };
        const auto stream = generic_->PrepareCall(context.get(), method, &queue);
        stream->StartCall(nullptr);
        bool alive = turn();
        if (alive && request) {
            const grpc::Slice slice(*request);
            grpc::WriteOptions options;
            if (after == ending::sent) {
                options.set_last_message();
            }
            stream->Write(grpc::ByteBuffer(&slice, 1), options, nullptr);
            alive = turn();
        }
        outcome out;
        grpc::ByteBuffer bytes;
        while (out.answers.size() < answers_max) {
            stream->Read(&bytes, nullptr);
            if (!turn()) {
                break;
            }
            grpc::Slice whole;
            (void)bytes.DumpToSingleSlice(&whole);
            out.answers.emplace_back(reinterpret_cast<const char*>(whole.begin()), whole.size());
        }
        const bool goes_on = out.answers.size() == answers_max;
        if (goes_on) {
            context->TryCancel();
        }
        stream->Finish(&out.status, nullptr);
        (void)turn();
        if (goes_on) {
            out.status = grpc::Status::OK;
        }
        queue.Shutdown();
        (void)turn();
        return out;
    }

    static bool is_denied(const row& one, const outcome& out) {
        if (one.method.ends_with("/BatchAppend") && !out.answers.empty()) {
            client::streams::BatchAppendResp answer;
            EXPECT_TRUE(answer.ParseFromString(out.answers.front()));
            return answer.error().code() == ::google::rpc::PERMISSION_DENIED;
        }
        return out.status.error_code() == StatusCode::PERMISSION_DENIED;
    }

    base::system_clock clock_;
    base::system_random random_;
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    std::unique_ptr<protocol_server> node_;
    std::unique_ptr<grpc::GenericStub> generic_;
    std::map<char, std::string> passwords_;
};

TEST_F(access_table, every_method_has_a_row) {
    std::set<std::string> known;
    for (const row& one : rows()) {
        known.insert(lower(one.method));
    }
    const auto stub = client::server_features::ServerFeatures::NewStub(channel_);
    client::server_features::SupportedMethods served;
    const auto context = make_context();
    ASSERT_TRUE(stub->GetSupportedMethods(context.get(), {}, &served).ok());
    EXPECT_GT(served.methods_size(), 30);
    for (const auto& method : served.methods()) {
        const std::string path = "/" + method.service_name() + "/" + method.method_name();
        EXPECT_EQ(known.erase(path), 1u) << path << " has no row: say who may call it";
    }
    EXPECT_TRUE(known.empty()) << *known.begin() << " is not served";
}

TEST_F(access_table, every_row_holds) {
    for (const row& one : rows()) {
        for (const char who : everybody) {
            const bool may = one.allowed.contains(who);
            const outcome out = call(who, one.method, one.request);
            EXPECT_EQ(is_denied(one, out), !may) << who << " " << one.method << " (" << one.name
                                                 << "): " << out.status.error_message();
            if (!one.method.ends_with("/ChangePassword")) { // where a password may be wrong
                EXPECT_NE(out.status.error_code(), StatusCode::UNAUTHENTICATED) << one.method;
            }
            EXPECT_NE(out.status.error_code(), StatusCode::UNKNOWN) << one.method;
        }
    }
}

TEST_F(access_table, nothing_is_received_from_a_caller_who_may_do_nothing) {
    for (const row& one : rows()) {
        if (!one.allowed.contains('n')) {
            EXPECT_EQ(call('n', one.method, std::nullopt).status.error_code(),
                      StatusCode::PERMISSION_DENIED)
                << one.method;
        }
    }
}

// A caller who may write, but not there: nothing is taken beyond the message that says where.
TEST_F(access_table, the_message_that_names_the_stream_decides) {
    const std::string streams = "/event_store.client.streams.Streams/";
    for (const row& one :
         {row{streams + "Append", named<client::streams::AppendReq>("secret"), admin_only},
          row{streams + "BatchAppend", batch_to("secret", false), admin_only},
          row{"/kurrentdb.protocol.v2.streams.StreamsService/AppendSession", session_to("secret"),
              admin_only}}) {
        EXPECT_TRUE(is_denied(one, call('u', one.method, one.request, 1, ending::open)))
            << one.method;
    }
}

TEST_F(access_table, a_refused_check_tells_no_revision) {
    const auto out = call('u', "/kurrentdb.protocol.v2.streams.StreamsService/AppendRecords",
                          records_to("open", "secret"));
    EXPECT_EQ(out.status.error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(out.status.error_details().find("secret"), std::string::npos);
    EXPECT_EQ(engine_.run(store_->info("open"))->last, base::revision{0}) << "nothing is written";
}

// A link shows its target only to those who may read it, in a stream and through everything.
TEST_F(access_table, a_link_is_not_a_way_around) {
    write("links", "$>", "0@secret");
    write("links", "$>", "0@$user-admin");
    client::streams::ReadReq request;
    ASSERT_TRUE(request.ParseFromString(read_of("links")));
    request.mutable_options()->set_count(10);
    request.mutable_options()->set_resolve_links(true);
    for (const char who : logins) {
        std::size_t targets = 0;
        std::size_t links = 0;
        for (const std::string& bytes :
             call(who, "/event_store.client.streams.Streams/Read", request.SerializeAsString(), 100)
                 .answers) {
            client::streams::ReadResp answer;
            ASSERT_TRUE(answer.ParseFromString(bytes));
            targets += answer.event().has_event() ? 1 : 0;
            links += answer.event().has_link() ? 1 : 0;
        }
        EXPECT_EQ(links, 2u) << who;
        EXPECT_EQ(targets, who == 'a' ? 2u : 0u) << who;
    }
}

// An operator manages groups of streams that he may not read, and is told nothing of the streams.
TEST_F(access_table, a_group_tells_an_operator_nothing_of_a_stream_he_may_not_read) {
    namespace groups = client::persistent_subscriptions;
    const std::string service =
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/";
    groups::CreateReq create;
    create.mutable_options()->mutable_stream()->mutable_stream_identifier()->set_stream_name(
        "secret");
    create.mutable_options()->mutable_stream()->mutable_end();
    create.mutable_options()->set_group_name("g");
    auto& settings = *create.mutable_options()->mutable_settings();
    settings.set_history_buffer_size(10);
    settings.set_read_batch_size(5);
    settings.set_live_buffer_size(10);
    ASSERT_TRUE(call('o', service + "Create", create.SerializeAsString()).status.ok());
    groups::ListReq list;
    list.mutable_options()->mutable_list_for_stream()->mutable_stream()->set_stream_name("secret");
    const auto info = [&](char who) { // by both methods
        const auto one = call(who, service + "GetInfo", of_group<groups::GetInfoReq>("secret"));
        const auto all = call(who, service + "List", list.SerializeAsString());
        groups::GetInfoResp told;
        groups::ListResp out;
        EXPECT_TRUE(!one.answers.empty() && told.ParseFromString(one.answers.front()));
        EXPECT_TRUE(!all.answers.empty() && out.ParseFromString(all.answers.front()));
        *out.add_subscriptions() = told.subscription_info();
        return out;
    };
    write("secret", "Happened", "{}");
    ASSERT_TRUE(base::comes_true([&] { // the group has met the event
        return info('a').subscriptions(0).last_known_event_position() == "1";
    }));
    const auto told = info('o');
    ASSERT_EQ(told.subscriptions_size(), 2);
    for (const auto& one : told.subscriptions()) {
        EXPECT_EQ(one.group_name(), "g");
        EXPECT_EQ(one.last_known_event_position(), "");
        EXPECT_EQ(one.last_checkpointed_event_position(), "");
    }
}

} // namespace
} // namespace immortal::esdb
