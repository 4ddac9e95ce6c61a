// The streams on which the server relies: what clients cannot do to them, and what a log does not
// break in which it was done all the same.
#include "esdb/access_control.hpp"
#include "esdb/group_definition.hpp"
#include "esdb/reserved_streams.hpp"
#include "esdb/store_fixture.hpp"
#include "esproto/wire/streams_v2.grpc.pb.h"
#include "eventlog/stream_metadata.hpp"

#include <algorithm>

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::streams;
namespace wire_v2 = ::kurrentdb::protocol::v2::streams;
using base::errc;
using eventlog::expected_revision;
using eventlog::new_event;
using eventlog::stream_write;
using grpc::StatusCode;
using action = stream_write::action;

// Every stream that a start or a decision about access reads.
std::vector<std::string> relied_on() {
    return {"$settings",
            "$users",
            "$user-admin",
            "$user-alice",
            group_config_stream,
            checkpoint_stream("s-1::g"),
            parked_stream("s-1::g"),
            checkpoint_stream("$all::g"),
            "$scavenges",
            "$scavenges-00000000-0000-0000-0000-000000000001"};
}

new_event event(std::string type, std::string data) {
    static std::uint64_t number = 0;
    base::uuid id;
    id.bytes[0] = 7;
    id.bytes[14] = static_cast<std::uint8_t>(++number >> 8);
    id.bytes[15] = static_cast<std::uint8_t>(number);
    return {.id = id, .type = std::move(type), .data = std::move(data), .metadata = {}};
}

stream_write write_of(std::string stream, std::string type, std::string data) {
    stream_write out{std::move(stream), expected_revision::any(), {}};
    out.events.push_back(event(std::move(type), std::move(data)));
    return out;
}

bool allowed(const stream_write& write, protection level = protection::secured) {
    const auto done = check_client_write(write, level);
    if (!done) {
        EXPECT_EQ(done.error().code, errc::invalid_argument);
        EXPECT_EQ(done.error().reason, "reserved_stream");
        EXPECT_EQ(done.error().field, write.stream);
        EXPECT_NE(done.error().message.find("'" + write.stream + "'"), std::string::npos);
    }
    return done.has_value();
}

TEST(reserved_streams, nobody_deletes_them) {
    for (const std::string& name : relied_on()) {
        for (const std::string& stream : {name, "$$" + name}) {
            EXPECT_TRUE(is_reserved(stream)) << stream;
            for (const auto level : {protection::open, protection::secured}) {
                EXPECT_FALSE(allowed({stream, {}, {}, action::tombstone}, level)) << stream;
                EXPECT_FALSE(allowed({stream, {}, {}, action::soft_delete}, level)) << stream;
            }
            EXPECT_TRUE(allowed({stream, {}, {}}, protection::open)) << "only an expectation";
        }
    }
}

TEST(reserved_streams, others_are_free) {
    for (const char* stream : {"s", "settings", "$$settings", "$settings-1", "$stats-x", "$user",
                               "$userx", "$usersx", "$$s", "$projections-$all", "$scavengesx"}) {
        EXPECT_FALSE(is_reserved(stream)) << stream;
        EXPECT_TRUE(allowed({stream, {}, {}, action::tombstone}, protection::open)) << stream;
    }
}

TEST(reserved_streams, without_security_none_is_written) {
    for (const std::string& stream : relied_on()) {
        EXPECT_FALSE(allowed(write_of(stream, "$settings", "{}"), protection::open)) << stream;
        EXPECT_FALSE(allowed(write_of("$$" + stream, "$metadata", "{}"), protection::open));
        EXPECT_FALSE(allowed(write_of(stream, "$>", "0@s-1"), protection::open));
    }
}

TEST(reserved_streams, with_security_their_services_keep_them) {
    for (const std::string& stream : relied_on()) {
        EXPECT_EQ(allowed(write_of(stream, "$settings", "{}")), stream == "$settings") << stream;
        EXPECT_FALSE(allowed(write_of(stream, "$>", "0@s-1"))) << stream;
        EXPECT_TRUE(allowed(write_of("$$" + stream, "$metadata", R"({"$acl":{"$r":"$ops"}})")));
        EXPECT_EQ(allowed(write_of("$$$$" + stream, "$metadata", R"({"$tb":7})")),
                  stream.starts_with("$scavenges"))
            << stream;
    }
}

TEST(reserved_streams, settings_are_understood_or_refused) {
    for (const char* good :
         {"{}", R"({"$userStreamAcl":{"$r":"$all","$w":["a","b"]},"$systemStreamAcl":null})",
          R"({"$userStreamAcl":{"$r":null,"$d":[],"$mr":"x","$mw":"y"}})"}) {
        EXPECT_TRUE(allowed(write_of("$settings", "update-default-acl", good))) << good;
    }
    for (const char* bad : {"", "{", "[]", "7", R"({"$userStreamAcl":7})",
                            R"({"$userStreamAcl":{"$r":7}})", R"({"$userStreamAcl":{"$r":[7]}})",
                            R"({"$userStreamAcl":{"r":"a"}})", R"({"$userstreamacl":{}})"}) {
        EXPECT_FALSE(allowed(write_of("$settings", "$settings", bad))) << bad;
    }
    for (const char* type : {"$streamDeleted", "$metadata", "$>", "$@"}) {
        EXPECT_FALSE(allowed(write_of("$settings", type, "{}"))) << type;
    }
}

TEST(reserved_streams, metadata_hides_nothing) {
    for (const char* stream : {"$$$settings", "$$$user-alice", "$$$users"}) {
        EXPECT_TRUE(allowed(write_of(stream, "$metadata", R"({"mine":[1]})")));
        for (const char* bad : {"", "[]", R"({"$tb":1})", R"({"$tb":9223372036854775807})",
                                R"({"$maxAge":1})", R"({"$maxCount":1})", R"({"$acl":[]})",
                                R"({"$acl":{"$x":"a"}})", R"({"$acl":{"$w":{}}})"}) {
            EXPECT_FALSE(allowed(write_of(stream, "$metadata", bad))) << stream << bad;
        }
        EXPECT_FALSE(allowed(write_of(stream, "Other", "{}")));
        stream_write binary = write_of(stream, "$metadata", "{}");
        binary.events.front().format = eventlog::content::binary;
        EXPECT_FALSE(allowed(binary));
    }
    EXPECT_TRUE(allowed(write_of("$$$scavenges", "$metadata", R"({"$maxAge":86400})")));
    EXPECT_FALSE(allowed(write_of("$$$scavenges", "$metadata", R"({"$tb":9223372036854775807})")));
}

TEST(reserved_streams, what_a_program_keeps_is_for_reading_only) {
    const kept_families kept{{.name = "kept-", .instead = "ask the keeper"},
                             {.name = "trail", .whole = true, .instead = "it records"}};
    for (const std::string name : {"kept-1", "kept-", "trail"}) {
        for (const std::string& stream : {name, "$$" + name, "$$$$" + name}) {
            for (const stream_write& write : {write_of(stream, "Happened", "{}"),
                                              stream_write{stream, {}, {}, action::tombstone},
                                              stream_write{stream, {}, {}, action::soft_delete}}) {
                const auto done = check_client_write(write, protection::secured, kept);
                ASSERT_FALSE(done) << stream;
                EXPECT_EQ(done.error().code, errc::forbidden);
                EXPECT_EQ(done.error().reason, "reserved_stream");
                EXPECT_EQ(done.error().field, stream);
            }
            EXPECT_TRUE(check_client_write({stream, {}, {}}, protection::open, kept))
                << "only an expectation";
        }
    }
    for (const char* stream : {"kept", "trail-1", "$$trail2", "keptx-1"}) {
        EXPECT_TRUE(check_client_write(write_of(stream, "Happened", "{}"), protection::open, kept));
    }
}

// Clients of a whole server without security, and what they do; the server is started again on what
// they left.
class reserved_streams_test : public store_fixture {
protected:
    void serve_again(std::optional<security_settings> security = {}, kept_families kept = {}) {
        server_->stop(std::chrono::milliseconds(500));
        server_.reset();
        if (GetParam() == adapter::embedded) {
            store_.reset();
            log_.reset();
            auto opened = eventlog::log::open({.folder = folder_ + "/log", .free_space_min = 0},
                                              files_, clock_, random_, nullptr);
            ASSERT_TRUE(opened) << opened.error().message;
            log_ = std::move(*opened);
            store_ = eventstore::make_embedded_store(*log_);
        }
        protocol_settings settings;
        settings.server.port = 0;
        settings.security = security;
        settings.kept = std::move(kept);
        server_ = std::make_unique<protocol_server>(engine_, *store_, clock_, random_, settings);
        const auto started = server_->start();
        ASSERT_TRUE(started) << started.error().message;
        channel_ = make_channel();
        streams_ = wire::Streams::NewStub(channel_);
    }
    // As a program without the rule would have: past the server.
    void plant(stream_write write) {
        std::vector<stream_write> writes;
        writes.push_back(std::move(write));
        const auto done = engine_.run(store_->append(std::move(writes)));
        ASSERT_TRUE(done) << done.error().message;
    }

    template <typename Request, typename Response>
    grpc::Status end(grpc::Status (wire::Streams::Stub::*method)(grpc::ClientContext*,
                                                                 const Request&, Response*),
                     const std::string& stream) {
        Request request;
        request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        esproto::write_expected(any, *request.mutable_options());
        Response response;
        const auto context = make_context();
        return (streams_.get()->*method)(context.get(), request, &response);
    }
    grpc::Status append_one(const std::string& stream, const std::string& type,
                            const std::string& data) {
        return append(stream, any, {1}, type, data).status;
    }
    grpc::Status append_batch(const std::string& stream, const std::string& type,
                              const std::string& data) {
        wire::BatchAppendReq request;
        base::uuid id;
        id.bytes[15] = 1;
        esproto::write_uuid(id, esproto::uuid_form::string, *request.mutable_correlation_id());
        request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        esproto::write_expected_position(any, *request.mutable_options());
        propose(2, *request.add_proposed_messages(), type, data);
        request.set_is_final(true);
        const auto context = make_context();
        const auto stub = streams_->BatchAppend(context.get());
        wire::BatchAppendResp answer;
        EXPECT_TRUE(stub->Write(request) && stub->Read(&answer));
        context->TryCancel();
        (void)stub->Finish();
        return {static_cast<StatusCode>(answer.error().code()), answer.error().message()};
    }
    static void fill(wire_v2::AppendRecord& out, const std::string& type, const std::string& data) {
        out.mutable_schema()->set_name(type);
        out.mutable_schema()->set_format(wire_v2::SCHEMA_FORMAT_JSON);
        out.set_data(data);
    }
    grpc::Status append_session(const std::string& stream, const std::string& type,
                                const std::string& data) {
        const auto stub = wire_v2::StreamsService::NewStub(channel_);
        const auto context = make_context();
        wire_v2::AppendSessionResponse response;
        const auto writer = stub->AppendSession(context.get(), &response);
        for (const std::string& each : {std::string("innocent-1"), stream}) {
            wire_v2::AppendRequest request;
            request.set_stream(each);
            fill(*request.add_records(), type, data);
            (void)writer->Write(request);
        }
        (void)writer->WritesDone();
        return writer->Finish();
    }
    grpc::Status append_records(const std::string& stream, const std::string& type,
                                const std::string& data) {
        const auto stub = wire_v2::StreamsService::NewStub(channel_);
        const auto context = make_context();
        wire_v2::AppendRecordsRequest request;
        for (const std::string& each : {std::string("innocent-1"), stream}) {
            fill(*request.add_records(), type, data);
            request.mutable_records()->rbegin()->set_stream(each);
        }
        wire_v2::AppendRecordsResponse response;
        return stub->AppendRecords(context.get(), request, &response);
    }
    static void expect_refused(const grpc::Status& status, const std::string& what) {
        EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << what;
    }
};

TEST_P(reserved_streams_test, no_method_changes_them_and_a_restart_works) {
    const auto before = store_->head();
    for (const std::string& name : relied_on()) {
        for (const std::string& stream : {name, "$$" + name}) {
            expect_refused(end(&wire::Streams::Stub::Delete, stream), "delete " + stream);
            expect_refused(end(&wire::Streams::Stub::Tombstone, stream), "tombstone " + stream);
            for (const auto& [type, data] : std::vector<std::pair<std::string, std::string>>{
                     {"$metadata", R"({"$tb":9223372036854775807})"},
                     {"$streamDeleted", "{}"},
                     {"$>", "0@innocent-1"}}) {
                expect_refused(append_one(stream, type, data), "append " + stream);
                expect_refused(append_batch(stream, type, data), "batch " + stream);
                expect_refused(append_session(stream, type, data), "session " + stream);
                expect_refused(append_records(stream, type, data), "records " + stream);
            }
        }
    }
    EXPECT_EQ(store_->head(), before) << "nothing was written";
    const auto one = append("$user-alice", any, {1});
    EXPECT_NE(one.status.error_message().find("Users service"), std::string::npos)
        << one.status.error_message();
    serve_again();
    write("s-1", {3});
}

TEST_P(reserved_streams_test, no_method_changes_what_a_program_keeps) {
    serve_again({}, {{.name = "kept-", .instead = "ask the keeper"}});
    plant(write_of("kept-1", "Happened", "{}"));
    const auto before = store_->head();
    const auto expect_denied = [](const grpc::Status& status, const std::string& what) {
        EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED) << what;
        EXPECT_NE(status.error_message().find("ask the keeper"), std::string::npos)
            << what << ": " << status.error_message();
    };
    for (const std::string stream : {"kept-1", "$$kept-1", "kept-2", "$$kept-2"}) {
        expect_denied(end(&wire::Streams::Stub::Delete, stream), "delete " + stream);
        expect_denied(end(&wire::Streams::Stub::Tombstone, stream), "tombstone " + stream);
        expect_denied(append_one(stream, "$metadata", "{}"), "append " + stream);
        expect_denied(append_batch(stream, "$metadata", "{}"), "batch " + stream);
        expect_denied(append_session(stream, "$metadata", "{}"), "session " + stream);
        expect_denied(append_records(stream, "$metadata", "{}"), "records " + stream);
    }
    EXPECT_EQ(store_->head(), before) << "nothing was written";
}

TEST_P(reserved_streams_test, a_log_in_which_they_are_tombstoned_starts) {
    for (const std::string& stream : relied_on()) {
        plant({stream, expected_revision::any(), {}, action::tombstone});
    }
    serve_again();
    write("s-1", {3});
    serve_again(security_settings{.hash_bytes = 8192, .hash_passes = 1});
    const auto& made = server_->first_administrator();
    ASSERT_TRUE(made.has_value()) << "somebody can log in";
    EXPECT_EQ(made->login, "admin-2");
    serve_again(security_settings{.hash_bytes = 8192, .hash_passes = 1});
    EXPECT_FALSE(server_->first_administrator().has_value()) << "found without the list";
}

TEST_P(reserved_streams_test, a_log_in_which_they_hold_anything_starts) {
    for (const std::string& stream : relied_on()) {
        plant(write_of(stream, "Rubbish", "\x01{"));
        plant(write_of("$$" + stream, "$metadata", "[7"));
    }
    plant(write_of("$users", "$User", std::string(5000, 'x')));
    serve_again();
    write("s-1", {3});
    serve_again(security_settings{.hash_bytes = 8192, .hash_passes = 1});
    ASSERT_TRUE(server_->first_administrator().has_value());
    EXPECT_EQ(server_->first_administrator()->login, "admin") << "its stream goes on";
}

TEST_P(reserved_streams_test, a_log_in_which_they_are_hidden_starts) {
    serve_again(security_settings{.hash_bytes = 8192, .hash_passes = 1});
    ASSERT_TRUE(server_->first_administrator().has_value());
    for (const std::string& stream : relied_on()) {
        if (stream != "$user-admin") {
            plant(write_of(stream, "Happened", "{}"));
            plant({stream, expected_revision::any(), {}, action::soft_delete});
        }
    }
    serve_again(security_settings{.hash_bytes = 8192, .hash_passes = 1});
    EXPECT_FALSE(server_->first_administrator().has_value()) << "the administrator is still there";
}

INSTANTIATE_TEST_SUITE_P(stores, reserved_streams_test,
                         testing::Values(adapter::memory, adapter::embedded), adapter_name);

} // namespace
} // namespace immortal::esdb
