// Delete, Tombstone, links and metadata over a real client.
#include "esdb/store_fixture.hpp"

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::streams;
using grpc::StatusCode;

class deletes_test : public store_fixture {
protected:
    struct outcome {
        grpc::Status status;
        std::uint64_t position = 0;
        context_pointer context;
    };
    outcome remove(const std::string& stream, std::int64_t expected = any) {
        wire::DeleteReq request;
        request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        esproto::write_expected(expected, *request.mutable_options());
        wire::DeleteResp response;
        outcome out{{}, 0, make_context()};
        out.status = streams_->Delete(out.context.get(), request, &response);
        out.position = response.position().commit_position();
        return out;
    }
    outcome tombstone(const std::string& stream, std::int64_t expected = any) {
        wire::TombstoneReq request;
        request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        esproto::write_expected(expected, *request.mutable_options());
        wire::TombstoneResp response;
        outcome out{{}, 0, make_context()};
        out.status = streams_->Tombstone(out.context.get(), request, &response);
        out.position = response.position().commit_position();
        return out;
    }
    bool is_found(const std::string& stream) {
        return !read(read_of_stream(stream)).messages.at(0).has_stream_not_found();
    }
    static void expect_deleted(const grpc::Status& status, const grpc::ClientContext& context,
                               const std::string& stream) {
        EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
        EXPECT_EQ(trailer(context, "exception"), "stream-deleted");
        EXPECT_EQ(trailer(context, "stream-name"), stream);
    }
};

TEST_P(deletes_test, a_deleted_stream_is_not_found_and_begins_anew_with_its_old_numbers) {
    const auto before = write("a-1", {1, 2});
    const auto deleted = remove("a-1", 1);
    ASSERT_TRUE(deleted.status.ok()) << deleted.status.error_message();
    EXPECT_GT(deleted.position, before);
    EXPECT_FALSE(is_found("a-1"));
    const auto metadata = read(read_of_stream("$$a-1"));
    EXPECT_EQ(metadata.messages.at(0).event().event().data(), R"({"$tb":9223372036854775807})");
    EXPECT_TRUE(remove("a-1").status.ok()); // again
    const auto again = append("a-1", no_stream, {3});
    EXPECT_EQ(again.response.success().current_revision(), 2u);
    EXPECT_EQ(read(read_of_stream("a-1")).revisions(), std::vector<std::uint64_t>{2});
}

TEST_P(deletes_test, a_wrong_version_is_a_status) {
    write("a-1", {1, 2});
    for (const outcome& out : {remove("a-1", 7), tombstone("a-1", 7)}) {
        EXPECT_EQ(out.status.error_code(), StatusCode::FAILED_PRECONDITION);
        EXPECT_EQ(trailer(*out.context, "exception"), "wrong-expected-version");
        EXPECT_EQ(trailer(*out.context, "stream-name"), "a-1");
        EXPECT_EQ(trailer(*out.context, "expected-version"), "7");
        EXPECT_EQ(trailer(*out.context, "actual-version"), "1");
    }
    const auto none = remove("b-1", exists);
    EXPECT_EQ(trailer(*none.context, "exception"), "wrong-expected-version");
    EXPECT_EQ(trailer(*none.context, "expected-version"), "-4");
    EXPECT_EQ(trailer(*none.context, "actual-version"), "-1");
}

TEST_P(deletes_test, a_tombstone_ends_a_stream_for_ever) {
    write("a-1", {1});
    const auto out = tombstone("a-1", 0);
    ASSERT_TRUE(out.status.ok()) << out.status.error_message();
    EXPECT_GT(out.position, 0u);
    const auto seen = read(read_of_stream("a-1"));
    expect_deleted(seen.status, *seen.context, "a-1");
    const auto written = append("a-1", any, {2});
    expect_deleted(written.status, *written.context, "a-1");
    const auto deleted = remove("a-1");
    expect_deleted(deleted.status, *deleted.context, "a-1");
    const auto again = tombstone("a-1");
    expect_deleted(again.status, *again.context, "a-1");
    EXPECT_TRUE(tombstone("never-1", no_stream).status.ok());
    bool in_all = false;
    for (const auto& message : read(read_of_all()).messages) {
        in_all = in_all || (message.event().event().metadata().at("type") == "$streamDeleted" &&
                            message.event().event().stream_revision() == esproto::value_max);
    }
    EXPECT_TRUE(in_all);
}

TEST_P(deletes_test, links_are_resolved_for_those_who_ask) {
    write("a-1", {1, 2});
    ASSERT_TRUE(append("l-1", any, {11}, "$>", "1@a-1").response.has_success());
    ASSERT_TRUE(append("l-1", any, {12}, "$>", "7@a-1").response.has_success());
    ASSERT_TRUE(append("l-1", any, {13}, "$>", "nonsense").response.has_success());
    auto request = read_of_stream("l-1");
    EXPECT_FALSE(read(request).messages.at(0).event().has_link());
    request.mutable_options()->set_resolve_links(true);
    const auto out = read(request).messages;
    ASSERT_EQ(out.size(), 3u);
    EXPECT_EQ(out[0].event().event().stream_identifier().stream_name(), "a-1");
    EXPECT_EQ(out[0].event().event().stream_revision(), 1u);
    EXPECT_EQ(out[0].event().link().stream_identifier().stream_name(), "l-1");
    EXPECT_EQ(out[0].event().commit_position(), out[0].event().link().commit_position());
    EXPECT_FALSE(out[1].event().has_event()); // its target is not there
    EXPECT_TRUE(out[1].event().has_link());
    EXPECT_TRUE(out[2].event().has_event()); // no link at all
    EXPECT_FALSE(out[2].event().has_link());
}

TEST_P(deletes_test, what_metadata_hides_is_not_read) {
    write("a-1", {1, 2, 3, 4, 5});
    ASSERT_TRUE(
        append("$$a-1", any, {21}, "$metadata", R"({"$maxCount":2})").response.has_success());
    EXPECT_EQ(read(read_of_stream("a-1")).revisions(), (std::vector<std::uint64_t>{3, 4}));
    EXPECT_TRUE(read(read_of_stream("$ce-a")).status.ok());
}

INSTANTIATE_TEST_SUITE_P(stores, deletes_test, testing::Values(adapter::memory, adapter::embedded),
                         adapter_name);

} // namespace
} // namespace immortal::esdb
