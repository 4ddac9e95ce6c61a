// Streams.Append, Delete and Tombstone over a real client.
#include "esdb/store_fixture.hpp"

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::streams;
using grpc::StatusCode;

class streams_append_test : public store_fixture {
protected:
    append_result raw(const std::vector<append_request>& messages) {
        append_result out{{}, {}, make_context()};
        const auto writer = streams_->Append(out.context.get(), &out.response);
        for (const auto& message : messages) {
            if (!writer->Write(message)) {
                break;
            }
        }
        (void)writer->WritesDone();
        out.status = writer->Finish();
        return out;
    }
    static append_request options_for(const std::string& stream) {
        append_request message;
        message.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        message.mutable_options()->mutable_any();
        return message;
    }
};

TEST_P(streams_append_test, tells_revision_and_position_of_the_last_event) {
    const auto first = append("a-1", no_stream, {1, 2, 3});
    ASSERT_TRUE(first.status.ok()) << first.status.error_message();
    EXPECT_EQ(first.response.success().current_revision(), 2u);
    const auto all = read(read_of_stream("a-1"));
    ASSERT_EQ(all.messages.size(), 3u);
    EXPECT_EQ(all.messages[2].event().event().commit_position(),
              first.response.success().position().commit_position());
    EXPECT_EQ(first.response.success().position().commit_position(),
              first.response.success().position().prepare_position());
}

TEST_P(streams_append_test, a_wrong_version_is_an_answer_in_both_generations_of_fields) {
    write("a-1", {1, 2});
    const auto at_five = append("a-1", 5, {9}).response.wrong_expected_version();
    EXPECT_EQ(at_five.current_revision(), 1u);
    EXPECT_EQ(at_five.current_revision_20_6_0(), 1u);
    EXPECT_EQ(at_five.expected_revision(), 5u);
    EXPECT_EQ(at_five.expected_revision_20_6_0(), 5u);
    const auto none = append("a-1", no_stream, {9}).response.wrong_expected_version();
    EXPECT_TRUE(none.has_expected_no_stream());
    EXPECT_EQ(none.expected_revision_20_6_0(), esproto::end_value);
    const auto must_exist = append("a-2", exists, {9});
    ASSERT_TRUE(must_exist.status.ok());
    EXPECT_TRUE(must_exist.response.wrong_expected_version().has_expected_stream_exists());
    EXPECT_TRUE(must_exist.response.wrong_expected_version().has_stream_exists_20_6_0());
    EXPECT_TRUE(must_exist.response.wrong_expected_version().has_current_no_stream());
    EXPECT_TRUE(must_exist.response.wrong_expected_version().has_no_stream_20_6_0());
}

TEST_P(streams_append_test, follows_the_table_of_idempotency) {
    write("a-1", {1, 2, 3});
    const auto position = append("a-1", no_stream, {1, 2, 3}).response.success().position();
    EXPECT_EQ(read(read_of_stream("a-1")).messages.size(), 3u); // rule 4: all equal
    EXPECT_EQ(position.commit_position(),
              read(read_of_stream("a-1")).messages[2].event().event().commit_position());
    EXPECT_EQ(append("a-1", 0, {2, 3}).response.success().current_revision(), 2u);
    EXPECT_TRUE(append("a-1", 0, {9}).response.has_wrong_expected_version()); // first differs
    EXPECT_TRUE(append("a-1", 0, {2, 9}).response.has_wrong_expected_version());
    EXPECT_TRUE(append("a-1", 0, {2, 3, 4}).response.has_wrong_expected_version());     // beyond
    EXPECT_TRUE(append("a-1", 0, {}).response.has_wrong_expected_version());            // nothing
    EXPECT_TRUE(append("a-1", 7, {9}).response.has_wrong_expected_version());           // rule 5
    EXPECT_EQ(append("a-1", any, {1, 2, 3}).response.success().current_revision(), 2u); // rule 3
    EXPECT_TRUE(append("a-1", any, {1, 9}).response.has_wrong_expected_version());
    EXPECT_EQ(append("a-1", exists, {2}).response.success().current_revision(), 1u);
    EXPECT_EQ(append("a-1", 2, {3}).response.success().current_revision(), 3u); // rule 6
    EXPECT_EQ(append("a-2", any, {1}).response.success().current_revision(), 0u);
    EXPECT_EQ(append("a-1", any, {}).response.success().current_revision(), 3u);
    EXPECT_TRUE(append("a-3", any, {}).response.success().has_no_stream());
    EXPECT_TRUE(append("a-3", any, {}).response.success().has_no_position());
}

TEST_P(streams_append_test, refuses_what_is_not_an_append) {
    append_request event;
    propose(1, *event.mutable_proposed_message());
    EXPECT_EQ(raw({event}).status.error_code(), StatusCode::INVALID_ARGUMENT); // options first
    EXPECT_EQ(raw({options_for("a"), options_for("a")}).status.error_code(),
              StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(raw({options_for("")}).status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(raw({options_for("$all")}).status.error_code(), StatusCode::INVALID_ARGUMENT);
    auto unexpected = options_for("a");
    unexpected.mutable_options()->clear_expected_stream_revision();
    EXPECT_EQ(raw({unexpected}).status.error_code(), StatusCode::INVALID_ARGUMENT);
    auto nil = event;
    nil.mutable_proposed_message()->mutable_id()->set_string(base::uuid{}.text());
    EXPECT_EQ(raw({options_for("a"), nil}).status.error_code(), StatusCode::INVALID_ARGUMENT);
    auto typeless = event;
    (*typeless.mutable_proposed_message()->mutable_metadata())["type"] = "";
    EXPECT_EQ(raw({options_for("a"), typeless}).status.error_code(), StatusCode::INVALID_ARGUMENT);
    auto bare = event;
    bare.mutable_proposed_message()->mutable_metadata()->erase("content-type");
    const auto refused = raw({options_for("a"), bare});
    EXPECT_EQ(refused.status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(trailer(*refused.context, "exception"), "missing-required-metadata-property");
    EXPECT_EQ(trailer(*refused.context, "required-metadata-properties"), "type,content-type");
    EXPECT_TRUE(read(read_of_stream("a")).messages.at(0).has_stream_not_found());
}

TEST_P(streams_append_test, an_event_may_have_16_mib_and_not_a_byte_more) {
    const std::size_t beside = std::string(R"({"n":1})").size() + std::string("Happened").size();
    const std::string largest(eventlog::event_size_max - beside, 'x');
    const auto good = append("a-1", any, {1}, "Happened", largest);
    ASSERT_TRUE(good.status.ok()) << good.status.error_message();
    EXPECT_EQ(read(read_of_stream("a-1")).messages.at(0).event().event().data().size(),
              largest.size());
    const auto refused = append("a-1", any, {2}, "Happened", largest + "x");
    EXPECT_EQ(refused.status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(trailer(*refused.context, "exception"), "maximum-append-event-size-exceeded");
    EXPECT_EQ(trailer(*refused.context, "maximum-append-event-size"), "16777216");
    EXPECT_EQ(trailer(*refused.context, "proposed-append-event-size"), "16777217");
}

TEST_P(streams_append_test, an_append_may_have_64_mib) {
    const std::string large(15u << 20, 'x');
    const auto refused = append("a-1", any, {1, 2, 3, 4, 5}, "Happened", large);
    EXPECT_EQ(refused.status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(trailer(*refused.context, "exception"), "maximum-append-size-exceeded");
    EXPECT_EQ(trailer(*refused.context, "maximum-append-size"), "67108864");
}

TEST_P(streams_append_test, an_append_that_is_broken_off_writes_nothing) {
    {
        const auto context = make_context();
        append_response response;
        const auto writer = streams_->Append(context.get(), &response);
        ASSERT_TRUE(writer->Write(options_for("a-1")));
        append_request event;
        propose(1, *event.mutable_proposed_message());
        ASSERT_TRUE(writer->Write(event));
        context->TryCancel();
        EXPECT_EQ(writer->Finish().error_code(), StatusCode::CANCELLED);
    }
    EXPECT_TRUE(read(read_of_stream("a-1")).messages.at(0).has_stream_not_found());
}

INSTANTIATE_TEST_SUITE_P(stores, streams_append_test,
                         testing::Values(adapter::memory, adapter::embedded), adapter_name);

} // namespace
} // namespace immortal::esdb
