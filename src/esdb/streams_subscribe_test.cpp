// Subscriptions over a real client.
#include "esdb/store_fixture.hpp"

namespace immortal::esdb {
namespace {

using grpc::StatusCode;
using strings = std::vector<std::string>;
using numbers = std::vector<std::uint64_t>;

class streams_subscribe_test : public store_fixture {
protected:
    // A subscription that is read message by message.
    class subscriber {
    public:
        subscriber(::event_store::client::streams::Streams::Stub& stub, const read_request& request)
            : context_(make_context()), reader_(stub.Read(context_.get(), request)) {}
        ~subscriber() {
            if (!ended_) {
                context_->TryCancel();
                (void)reader_->Finish();
            }
        }
        subscriber(const subscriber&) = delete;
        subscriber& operator=(const subscriber&) = delete;

        read_response next() {
            read_response message;
            EXPECT_TRUE(reader_->Read(&message));
            return message;
        }
        // What comes up to and including the first message that `last` accepts.
        template <typename Last>
        std::vector<read_response> until(Last last) {
            std::vector<read_response> out;
            read_response message;
            while (reader_->Read(&message)) {
                out.push_back(message);
                if (last(message)) {
                    return out;
                }
            }
            ADD_FAILURE() << "the subscription ended";
            return out;
        }
        std::vector<read_response> until_caught_up() {
            return until([](const read_response& m) { return m.has_caught_up(); });
        }
        grpc::Status status() {
            read_response message;
            while (reader_->Read(&message)) {
            }
            ended_ = true;
            return reader_->Finish();
        }
        grpc::ClientContext& context() { return *context_; }

    private:
        context_pointer context_;
        std::unique_ptr<grpc::ClientReader<read_response>> reader_;
        bool ended_ = false;
    };

    static read_request filtered(read_request request, const std::string& type_prefix,
                                 std::uint32_t window, std::uint32_t multiplier) {
        auto& filter = *request.mutable_options()->mutable_filter();
        filter.mutable_event_type()->add_prefix(type_prefix);
        filter.set_max(window);
        filter.set_checkpointintervalmultiplier(multiplier);
        return request;
    }
};

TEST_P(streams_subscribe_test, confirms_catches_up_and_goes_on_live) {
    write("a-1", {1, 2, 3});
    subscriber one(*streams_, subscription(read_of_stream("a-1")));
    const auto confirmation = one.next();
    EXPECT_TRUE(base::uuid::parse(confirmation.confirmation().subscription_id()));
    const auto history = one.until_caught_up();
    EXPECT_EQ(places(history), (strings{"a-1/0", "a-1/1", "a-1/2"}));
    EXPECT_EQ(history.back().caught_up().stream_revision(), 2);
    EXPECT_GT(history.back().caught_up().timestamp().seconds(), 0);
    write("b-1", {9});
    write("a-1", {4, 5});
    EXPECT_EQ(one.next().event().event().stream_revision(), 3u);
    EXPECT_EQ(one.next().event().event().stream_revision(), 4u);
}

TEST_P(streams_subscribe_test, begins_strictly_after_a_revision) {
    write("a-1", {1, 2, 3});
    auto request = subscription(read_of_stream("a-1"));
    request.mutable_options()->mutable_stream()->set_revision(1);
    subscriber one(*streams_, request);
    EXPECT_EQ(places(one.until_caught_up()), strings{"a-1/2"});
    request.mutable_options()->mutable_stream()->mutable_end();
    subscriber two(*streams_, request);
    EXPECT_EQ(places(two.until_caught_up()), strings{});
    write("a-1", {4});
    EXPECT_EQ(two.next().event().event().stream_revision(), 3u);
}

TEST_P(streams_subscribe_test, waits_for_a_stream_that_does_not_exist) {
    subscriber one(*streams_, subscription(read_of_stream("a-1")));
    EXPECT_TRUE(one.next().has_confirmation());
    const auto caught_up = one.next();
    ASSERT_TRUE(caught_up.has_caught_up());
    EXPECT_FALSE(caught_up.caught_up().has_stream_revision());
    write("a-1", {1});
    EXPECT_EQ(one.next().event().event().stream_revision(), 0u);
}

TEST_P(streams_subscribe_test, follows_everything_strictly_after_a_position) {
    write("a-1", {1});
    const auto second = write("b-1", {2});
    write("c-1", {3});
    auto request = subscription(read_of_all());
    subscriber one(*streams_, request);
    const auto history = one.until_caught_up();
    EXPECT_EQ(places(history), (strings{"a-1/0", "b-1/0", "c-1/0"}));
    EXPECT_GT(history.back().caught_up().position().commit_position(), second);
    request.mutable_options()->mutable_all()->mutable_position()->set_commit_position(second);
    request.mutable_options()->mutable_all()->mutable_position()->set_prepare_position(second);
    subscriber two(*streams_, request);
    EXPECT_EQ(places(two.until_caught_up()), strings{"c-1/0"});
    request.mutable_options()->mutable_all()->mutable_end();
    subscriber three(*streams_, request);
    EXPECT_EQ(places(three.until_caught_up()), strings{});
    write("d-1", {4});
    for (subscriber* each : {&one, &two, &three}) {
        EXPECT_EQ(each->next().event().event().stream_identifier().stream_name(), "d-1");
    }
}

TEST_P(streams_subscribe_test, refuses_a_position_beyond_the_head) {
    const auto head = write("a-1", {1});
    auto request = subscription(read_of_all());
    auto& position = *request.mutable_options()->mutable_all()->mutable_position();
    position.set_commit_position(head + 1'000'000);
    position.set_prepare_position(head + 1'000'000);
    subscriber one(*streams_, request);
    EXPECT_EQ(one.status().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_P(streams_subscribe_test, a_tombstone_ends_it) {
    write("a-1", {1});
    subscriber one(*streams_, subscription(read_of_stream("a-1")));
    (void)one.until_caught_up();
    ::event_store::client::streams::TombstoneReq request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name("a-1");
    request.mutable_options()->mutable_any();
    ::event_store::client::streams::TombstoneResp response;
    const auto context = make_context();
    ASSERT_TRUE(streams_->Tombstone(context.get(), request, &response).ok());
    EXPECT_EQ(one.status().error_code(), StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(trailer(one.context(), "exception"), "stream-deleted");
    subscriber two(*streams_, subscription(read_of_stream("a-1")));
    EXPECT_EQ(two.status().error_code(), StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(trailer(two.context(), "stream-name"), "a-1");
}

TEST_P(streams_subscribe_test, tells_checkpoints_of_events_looked_at) {
    for (std::uint64_t i = 0; i < 192; ++i) {
        write("a-" + std::to_string(i % 7), {2 * i + 1}, "Wanted");
        write("a-" + std::to_string(i % 7), {2 * i + 2}, "Other");
    }
    subscriber one(*streams_, filtered(subscription(read_of_all()), "Wanted", 32, 2));
    const auto history = one.until_caught_up();
    std::uint64_t last = 0;
    std::size_t checkpoints = 0;
    std::size_t events = 0;
    for (const auto& message : history) {
        events += message.has_event();
        if (message.has_checkpoint()) {
            ++checkpoints;
            EXPECT_GT(message.checkpoint().commit_position(), last);
            last = message.checkpoint().commit_position();
        }
        if (message.has_event()) {
            EXPECT_EQ(message.event().event().metadata().at("type"), "Wanted");
            EXPECT_GT(message.event().event().commit_position(), last);
        }
    }
    EXPECT_EQ(events, 192u);
    EXPECT_GE(checkpoints, 6u);
    EXPECT_LE(checkpoints, 8u); // one more for system events at the beginning, one when live
}

TEST_P(streams_subscribe_test, tells_a_checkpoint_soon_though_nothing_matches) {
    subscriber one(*streams_, filtered(subscription(read_of_all()), "Wanted", 32, 1'000));
    (void)one.until_caught_up();
    write("a-1", {1}, "Other");
    const auto last = write("a-1", {2}, "Other");
    const auto told = one.until([last](const read_response& message) {
        EXPECT_TRUE(message.has_checkpoint());
        return message.checkpoint().commit_position() >= last;
    });
    EXPECT_LE(told.size(), 2u);
    write("a-1", {3}, "Wanted");
    EXPECT_EQ(one.next().event().event().stream_revision(), 2u);
}

TEST_P(streams_subscribe_test, tells_live_checkpoints_of_events_that_do_not_match) {
    subscriber one(*streams_, filtered(subscription(read_of_all()), "Wanted", 32, 2));
    (void)one.until_caught_up();
    std::uint64_t last = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
        last = write("a-1", {i + 1}, "Other");
    }
    std::uint64_t before = 0;
    (void)one.until([&](const read_response& message) {
        EXPECT_TRUE(message.has_checkpoint());
        EXPECT_GT(message.checkpoint().commit_position(), before);
        before = message.checkpoint().commit_position();
        return before >= last;
    });
}

TEST_P(streams_subscribe_test, a_subscriber_that_does_not_read_is_not_dropped) {
    const std::string large(200'000, 'x');
    subscriber one(*streams_, subscription(read_of_stream("a-1")));
    EXPECT_TRUE(one.next().has_confirmation());
    for (std::uint64_t i = 0; i < 200; ++i) { // far beyond all windows
        ASSERT_TRUE(append("a-1", any, {i + 1}, "Happened", large).response.has_success());
    }
    std::uint64_t next = 0;
    (void)one.until([&next](const read_response& message) {
        if (message.has_event()) {
            EXPECT_EQ(message.event().event().stream_revision(), next++);
        }
        return next == 200;
    });
    EXPECT_EQ(next, 200u);
}

TEST_P(streams_subscribe_test, many_writers_are_seen_once_and_in_order) {
    subscriber one(*streams_, subscription(read_of_all()));
    EXPECT_TRUE(one.next().has_confirmation());
    std::vector<std::thread> writers;
    for (std::uint64_t w = 0; w < 4; ++w) {
        writers.emplace_back([this, w] {
            for (std::uint64_t i = 0; i < 50; ++i) {
                write("w-" + std::to_string(w), {w * 1000 + i + 1});
            }
        });
    }
    std::map<std::string, std::uint64_t> next;
    std::uint64_t last = 0;
    std::size_t seen = 0;
    (void)one.until([&](const read_response& message) {
        const auto& event = message.event().event();
        const auto& stream = event.stream_identifier().stream_name();
        if (message.has_event() && stream.starts_with("w-")) {
            EXPECT_EQ(event.stream_revision(), next[stream]++);
            EXPECT_GT(event.commit_position(), last);
            last = event.commit_position();
            ++seen;
        }
        return seen == 200;
    });
    for (std::thread& writer : writers) {
        writer.join();
    }
}

INSTANTIATE_TEST_SUITE_P(stores, streams_subscribe_test,
                         testing::Values(adapter::memory, adapter::embedded), adapter_name);

} // namespace
} // namespace immortal::esdb
