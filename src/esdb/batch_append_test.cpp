// Streams.BatchAppend over a real client.
#include "esdb/append_outcomes.hpp"
#include "esdb/store_fixture.hpp"
#include "eventstore/memory_store.hpp"

#include <map>

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::streams;
namespace shared = ::event_store::client;
using grpc::StatusCode;

class batch_append_test : public store_fixture {
protected:
    using request = wire::BatchAppendReq;
    using response = wire::BatchAppendResp;

    void open() {
        context_ = make_context();
        stream_ = streams_->BatchAppend(context_.get());
    }
    void TearDown() override {
        if (stream_ != nullptr) {
            context_->TryCancel();
            (void)stream_->Finish();
            stream_.reset();
        }
        store_fixture::TearDown();
    }

    static base::uuid correlation(std::uint8_t number) {
        base::uuid id;
        id.bytes[0] = 0xc0;
        id.bytes[15] = number;
        return id;
    }
    static request chunk(std::uint8_t number, const std::vector<std::uint64_t>& events,
                         bool final = true) {
        request out;
        esproto::write_uuid(correlation(number), esproto::uuid_form::string,
                            *out.mutable_correlation_id());
        for (const std::uint64_t event : events) {
            propose(event, *out.add_proposed_messages());
        }
        out.set_is_final(final);
        return out;
    }
    static request first_chunk(std::uint8_t number, const std::string& stream,
                               std::int64_t expected, const std::vector<std::uint64_t>& events,
                               bool final = true) {
        request out = chunk(number, events, final);
        out.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
        esproto::write_expected_position(expected, *out.mutable_options());
        return out;
    }
    response ask(const request& message) {
        EXPECT_TRUE(stream_->Write(message));
        response answer;
        EXPECT_TRUE(stream_->Read(&answer));
        return answer;
    }
    template <typename Detail>
    static Detail detail_of(const response& answer) {
        Detail detail;
        EXPECT_TRUE(answer.error().details().UnpackTo(&detail))
            << answer.error().details().type_url();
        return detail;
    }

    context_pointer context_;
    std::unique_ptr<grpc::ClientReaderWriter<request, response>> stream_;
};

TEST_P(batch_append_test, writes_and_answers_with_the_same_identifier) {
    open();
    const auto answer = ask(first_chunk(1, "a-1", no_stream, {1, 2, 3}));
    EXPECT_EQ(answer.correlation_id().string(), correlation(1).text());
    EXPECT_EQ(answer.stream_identifier().stream_name(), "a-1");
    EXPECT_EQ(answer.success().current_revision(), 2u);
    EXPECT_EQ(answer.expected_stream_position_case(), response::EXPECTED_STREAM_POSITION_NOT_SET);
    EXPECT_EQ(answer.success().position().commit_position(),
              read(read_of_stream("a-1")).messages.at(2).event().event().commit_position());
}

TEST_P(batch_append_test, puts_interleaved_chunks_together) {
    open();
    ASSERT_TRUE(stream_->Write(first_chunk(1, "a-1", any, {1}, false)));
    ASSERT_TRUE(stream_->Write(first_chunk(2, "b-1", any, {11}, false)));
    ASSERT_TRUE(stream_->Write(chunk(9, {99}))); // nobody knows it
    ASSERT_TRUE(stream_->Write(chunk(1, {2}, false)));
    ASSERT_TRUE(stream_->Write(chunk(2, {12})));
    ASSERT_TRUE(stream_->Write(chunk(1, {3})));
    std::map<std::string, std::uint64_t> last;
    for (int i = 0; i < 2; ++i) {
        response answer;
        ASSERT_TRUE(stream_->Read(&answer));
        last[answer.stream_identifier().stream_name()] = answer.success().current_revision();
    }
    EXPECT_EQ(last, (std::map<std::string, std::uint64_t>{{"a-1", 2}, {"b-1", 1}}));
    EXPECT_EQ(read(read_of_stream("a-1")).revisions().size(), 3u);
    ASSERT_TRUE(stream_->WritesDone());
    response none;
    EXPECT_FALSE(stream_->Read(&none));
    EXPECT_TRUE(stream_->Finish().ok());
    stream_.reset();
}

TEST_P(batch_append_test, options_of_a_begun_batch_do_not_begin_another_one) {
    open();
    ASSERT_TRUE(stream_->Write(first_chunk(1, "s-1", -1, {1}, false)));
    const response answer = ask(first_chunk(1, "s-2", 7, {2}));
    ASSERT_TRUE(answer.has_success()) << answer.DebugString();
    EXPECT_EQ(answer.stream_identifier().stream_name(), "s-1");
    EXPECT_EQ(answer.success().current_revision(), 1u);
    EXPECT_TRUE(ask(first_chunk(1, "s-2", -1, {3})).has_success()) << "it is free again";
}

TEST(current_version_test, is_what_was_found_not_what_is_there_meanwhile) {
    base::system_clock clock;
    runtime::engine engine{{}};
    engine.start();
    const auto store = eventstore::make_memory_store(clock);
    using unmet = std::vector<eventstore::unmet_expectation>;
    using standing = eventstore::unmet_expectation::standing;
    const auto version = [&](unmet found) {
        return engine.run(
            current_version(*store, "s-1", std::make_shared<unmet>(std::move(found))));
    };
    EXPECT_EQ(version({{.actual = standing::present, .last = base::revision{4}}}), 4);
    EXPECT_EQ(version({{.actual = standing::absent}}), -1);
    EXPECT_EQ(version({}), -1) << "looked up";
    engine.stop();
}

TEST_P(batch_append_test, tells_a_wrong_version_in_band) {
    write("a-1", {1, 2});
    open();
    auto answer = ask(first_chunk(1, "a-1", 7, {9}));
    EXPECT_EQ(answer.error().code(), google::rpc::ALREADY_EXISTS);
    EXPECT_EQ(answer.error().message(), "WrongExpectedVersion");
    EXPECT_EQ(answer.stream_identifier().stream_name(), "a-1");
    auto detail = detail_of<shared::WrongExpectedVersion>(answer);
    EXPECT_EQ(detail.current_stream_revision(), 1u);
    EXPECT_EQ(detail.expected_stream_position(), 7u);
    detail = detail_of<shared::WrongExpectedVersion>(ask(first_chunk(2, "b-1", exists, {9})));
    EXPECT_TRUE(detail.has_current_no_stream());
    EXPECT_TRUE(detail.has_expected_stream_exists());
    detail = detail_of<shared::WrongExpectedVersion>(ask(first_chunk(3, "a-1", no_stream, {9})));
    EXPECT_TRUE(detail.has_expected_no_stream());
}

TEST_P(batch_append_test, tells_bad_input_in_band) {
    open();
    const auto expect_bad = [this](const request& message) {
        const auto answer = ask(message);
        EXPECT_EQ(answer.error().code(), google::rpc::INVALID_ARGUMENT);
        EXPECT_EQ(answer.error().message(), "BadRequest");
        EXPECT_FALSE(detail_of<shared::BadRequest>(answer).message().empty());
    };
    expect_bad(first_chunk(1, "", any, {1}));
    auto message = first_chunk(2, "a-1", any, {1});
    message.mutable_options()->clear_expected_stream_position();
    expect_bad(message);
    message = first_chunk(3, "a-1", any, {1});
    message.mutable_proposed_messages(0)->mutable_metadata()->erase("type");
    expect_bad(message);
    message = first_chunk(4, "a-1", any, {1});
    message.mutable_proposed_messages(0)->mutable_id()->set_string(base::uuid{}.text());
    expect_bad(message);
    EXPECT_TRUE(ask(first_chunk(5, "a-1", any, {1})).has_success()); // the call goes on
}

TEST_P(batch_append_test, tells_sizes_in_band) {
    open();
    auto message = first_chunk(1, "a-1", any, {1});
    message.mutable_proposed_messages(0)->set_data(std::string(eventlog::event_size_max, 'x'));
    auto answer = ask(message);
    EXPECT_EQ(answer.error().message(), "MaximumAppendEventSizeExceeded");
    EXPECT_EQ(detail_of<shared::MaximumAppendEventSizeExceeded>(answer).maxappendeventsize(),
              eventlog::event_size_max);
    for (int i = 0; i < 5; ++i) {
        message = i == 0 ? first_chunk(2, "a-1", any, {1}, false)
                         : chunk(2, {static_cast<std::uint64_t>(i) + 1}, false);
        message.mutable_proposed_messages(0)->set_data(std::string(15u << 20, 'x'));
        ASSERT_TRUE(stream_->Write(message));
    }
    ASSERT_TRUE(stream_->Read(&answer));
    EXPECT_EQ(answer.error().message(), "MaximumAppendSizeExceeded: The append has more than "
                                        "67108864 bytes of contents.");
    EXPECT_EQ(detail_of<shared::MaximumAppendSizeExceeded>(answer).maxappendsize(),
              eventlog::append_size_max);
}

TEST_P(batch_append_test, a_deadline_that_has_passed_is_a_timeout) {
    open();
    auto message = first_chunk(1, "a-1", any, {1});
    message.mutable_options()->mutable_deadline_21_10_0()->set_seconds(1'000'000);
    auto answer = ask(message);
    EXPECT_EQ(answer.error().code(), google::rpc::DEADLINE_EXCEEDED);
    EXPECT_EQ(answer.error().message(), "Timeout");
    (void)detail_of<shared::Timeout>(answer);
    message.mutable_options()->mutable_deadline()->set_seconds(0);
    EXPECT_EQ(ask(message).error().message(), "Timeout");
    message.mutable_options()->mutable_deadline()->set_seconds(std::int64_t{1} << 62);
    EXPECT_TRUE(ask(message).has_success());
    message = first_chunk(2, "b-1", any, {1}, false); // and never finished
    message.mutable_options()->mutable_deadline()->set_nanos(50'000'000);
    answer = ask(message);
    EXPECT_EQ(answer.error().message(), "Timeout");
    EXPECT_EQ(answer.correlation_id().string(), correlation(2).text());
    EXPECT_TRUE(read(read_of_stream("b-1")).messages.at(0).has_stream_not_found());
}

TEST_P(batch_append_test, a_flood_through_one_call_is_answered_completely) {
    open();
    constexpr std::uint64_t batches = 5'000;
    std::thread writer([this] {
        for (std::uint64_t i = 0; i < batches; ++i) {
            auto message = first_chunk(1, "f-" + std::to_string(i % 50), any, {i + 1});
            base::uuid id = correlation(0);
            id.bytes[1] = static_cast<std::uint8_t>(i >> 8);
            id.bytes[2] = static_cast<std::uint8_t>(i);
            esproto::write_uuid(id, esproto::uuid_form::structured,
                                *message.mutable_correlation_id());
            (void)stream_->Write(message);
        }
        (void)stream_->WritesDone();
    });
    std::set<base::uuid> answered;
    response answer;
    while (stream_->Read(&answer)) {
        EXPECT_TRUE(answer.has_success());
        answered.insert(*esproto::read_uuid(answer.correlation_id()));
    }
    writer.join();
    EXPECT_TRUE(stream_->Finish().ok());
    stream_.reset();
    EXPECT_EQ(answered.size(), batches);
}

TEST_P(batch_append_test, stopping_answers_what_was_complete) {
    open();
    ASSERT_TRUE(ask(first_chunk(1, "a-1", any, {1})).has_success());
    ASSERT_TRUE(stream_->Write(first_chunk(2, "a-1", any, {2}, false))); // never finished
    server_->stop(std::chrono::seconds(30));
    response none;
    EXPECT_FALSE(stream_->Read(&none));
    EXPECT_EQ(stream_->Finish().error_code(), StatusCode::UNAVAILABLE);
    stream_.reset();
}

INSTANTIATE_TEST_SUITE_P(stores, batch_append_test,
                         testing::Values(adapter::memory, adapter::embedded), adapter_name);

} // namespace
} // namespace immortal::esdb
