// Streams.Read without subscription, over a real client.
#include "esdb/store_fixture.hpp"

namespace immortal::esdb {
namespace {

using grpc::StatusCode;
using strings = std::vector<std::string>;
using numbers = std::vector<std::uint64_t>;

class streams_read_test : public store_fixture {
protected:
    static read_request backwards(read_request request) {
        request.mutable_options()->set_read_direction(read_request::Options::Backwards);
        return request;
    }
    static read_request from_end(read_request request) {
        if (request.options().has_stream()) {
            request.mutable_options()->mutable_stream()->mutable_end();
        } else {
            request.mutable_options()->mutable_all()->mutable_end();
        }
        return request;
    }
    static read_request from_revision(read_request request, std::uint64_t at) {
        request.mutable_options()->mutable_stream()->set_revision(at);
        return request;
    }
    static read_request from_position(read_request request, std::uint64_t at) {
        auto& position = *request.mutable_options()->mutable_all()->mutable_position();
        position.set_commit_position(at);
        position.set_prepare_position(at);
        return request;
    }
    static numbers range(std::uint64_t first, std::uint64_t last) {
        numbers out;
        for (std::uint64_t i = first; i <= last; ++i) {
            out.push_back(i);
        }
        return out;
    }
};

TEST_P(streams_read_test, gives_events_as_they_were_written) {
    const auto position = write("a-1", {7});
    const auto out = read(read_of_stream("a-1"));
    ASSERT_TRUE(out.status.ok());
    ASSERT_EQ(out.messages.size(), 1u);
    const auto& event = out.messages[0].event().event();
    EXPECT_EQ(event.id().string(), "01000000-0000-0000-0000-000000000007");
    EXPECT_EQ(event.stream_identifier().stream_name(), "a-1");
    EXPECT_EQ(event.stream_revision(), 0u);
    EXPECT_EQ(event.commit_position(), position);
    EXPECT_EQ(event.prepare_position(), position);
    EXPECT_EQ(out.messages[0].event().commit_position(), position);
    EXPECT_FALSE(out.messages[0].event().has_link());
    EXPECT_EQ(event.metadata().at("type"), "Happened");
    EXPECT_EQ(event.metadata().at("content-type"), "application/json");
    EXPECT_GT(esproto::time_from_ticks(event.metadata().at("created")).value(),
              clock_.now() - std::chrono::minutes(5));
    EXPECT_EQ(event.data(), "{}");
    EXPECT_EQ(event.custom_metadata(), R"({"n":7})");
}

TEST_P(streams_read_test, gives_identifiers_in_the_form_asked_for) {
    write("a-1", {7});
    auto request = read_of_stream("a-1");
    request.mutable_options()->mutable_uuid_option()->mutable_structured();
    EXPECT_EQ(
        static_cast<std::uint64_t>(
            read(request).messages.at(0).event().event().id().structured().most_significant_bits()),
        0x0100000000000000u);
    request.mutable_options()->clear_uuid_option();
    EXPECT_TRUE(read(request).messages.at(0).event().event().id().has_structured());
}

TEST_P(streams_read_test, reads_a_stream_both_ways_from_anywhere) {
    write("a-1", range(1, 100));
    EXPECT_EQ(read(read_of_stream("a-1")).revisions(), range(0, 99));
    EXPECT_EQ(read(read_of_stream("a-1", 3)).revisions(), range(0, 2));
    EXPECT_EQ(read(from_revision(read_of_stream("a-1"), 97)).revisions(), range(97, 99));
    EXPECT_EQ(read(from_revision(read_of_stream("a-1"), 200)).revisions(), numbers{});
    EXPECT_EQ(read(from_end(read_of_stream("a-1"))).revisions(), numbers{});
    auto all = read(backwards(from_end(read_of_stream("a-1")))).revisions();
    std::ranges::reverse(all);
    EXPECT_EQ(all, range(0, 99));
    EXPECT_EQ(read(backwards(from_end(read_of_stream("a-1", 2)))).revisions(), (numbers{99, 98}));
    EXPECT_EQ(read(backwards(from_revision(read_of_stream("a-1"), 1))).revisions(),
              (numbers{1, 0}));
    EXPECT_EQ(read(backwards(from_revision(read_of_stream("a-1", 1), 500))).revisions(),
              numbers{99});
    EXPECT_EQ(read(backwards(read_of_stream("a-1"))).revisions(), numbers{0});
}

TEST_P(streams_read_test, an_unknown_stream_is_an_answer) {
    for (const auto& request :
         {read_of_stream("a-1"), backwards(from_end(read_of_stream("a-1")))}) {
        const auto out = read(request);
        EXPECT_TRUE(out.status.ok());
        ASSERT_EQ(out.messages.size(), 1u);
        EXPECT_EQ(out.messages[0].stream_not_found().stream_identifier().stream_name(), "a-1");
    }
}

TEST_P(streams_read_test, tells_first_and_last_position_to_those_who_ask) {
    write("a-1", {1, 2, 3});
    auto request = read_of_stream("a-1", 2);
    request.mutable_options()->mutable_control_option()->set_compatibility(1);
    auto out = read(request);
    ASSERT_EQ(out.messages.size(), 3u);
    EXPECT_EQ(out.messages[2].last_stream_position(), 2u);
    out = read(from_revision(request, 10)); // beyond the end
    ASSERT_EQ(out.messages.size(), 2u);
    EXPECT_EQ(out.messages[0].first_stream_position(), 3u);
    EXPECT_EQ(out.messages[1].last_stream_position(), 2u);
    out = read(backwards(from_end(request)));
    ASSERT_EQ(out.messages.size(), 3u);
    EXPECT_EQ(out.messages[2].last_stream_position(), 2u);
}

TEST_P(streams_read_test, reads_everything_both_ways) {
    write("a-1", {1, 2});
    const auto second = write("b-1", {3});
    write("a-1", {4});
    const strings forwards{"a-1/0", "a-1/1", "b-1/0", "a-1/2"};
    EXPECT_EQ(places(read(read_of_all()).messages), forwards);
    EXPECT_EQ(places(read(backwards(from_end(read_of_all()))).messages),
              strings(forwards.rbegin(), forwards.rend()));
    // Inclusive forwards, exclusive backwards.
    EXPECT_EQ(places(read(from_position(read_of_all(), second)).messages),
              (strings{"b-1/0", "a-1/2"}));
    EXPECT_EQ(places(read(backwards(from_position(read_of_all(), second))).messages),
              (strings{"a-1/1", "a-1/0"}));
    EXPECT_EQ(places(read(from_position(read_of_all(), second + 1)).messages), strings{"a-1/2"});
    EXPECT_EQ(places(read(from_end(read_of_all())).messages), strings{});
    EXPECT_EQ(places(read(backwards(read_of_all())).messages), strings{});
    EXPECT_EQ(places(read(backwards(from_end(read_of_all(1)))).messages), strings{"a-1/2"});
}

TEST_P(streams_read_test, hides_bookkeeping_streams_in_reads_of_everything) {
    write("$epoch-information", {1});
    for (const char* stream :
         {"$persistentsubscription-$all::g-checkpoint", "$persistentsubscription-$all::g-parked",
          "$persistentsubscription-a::g-parked"}) {
        std::vector<eventstore::stream_write> writes(1); // as the groups do: no client may
        writes[0].stream = stream;
        writes[0].events.push_back(
            {base::uuid::make_random(random_), "Happened", "{}", {}, eventlog::content::json});
        ASSERT_TRUE(engine_.run(store_->append(std::move(writes))));
    }
    write("b-1", {5});
    strings seen;
    for (const auto& message : read(read_of_all()).messages) {
        seen.push_back(message.event().event().stream_identifier().stream_name());
    }
    EXPECT_EQ(std::ranges::count(seen, "$epoch-information"), 0);
    EXPECT_EQ(std::ranges::count(seen, "$persistentsubscription-$all::g-checkpoint"), 0);
    EXPECT_EQ(std::ranges::count(seen, "$persistentsubscription-$all::g-parked"), 0);
    EXPECT_EQ(std::ranges::count(seen, "$persistentsubscription-a::g-parked"), 1);
    EXPECT_EQ(places(read(read_of_all()).messages), strings{"b-1/0"});
}

TEST_P(streams_read_test, refuses_combinations_that_do_not_exist) {
    const auto code = [this](const read_request& request) {
        return read(request).status.error_code();
    };
    auto request = read_of_stream("a-1");
    request.mutable_options()->clear_filter_option();
    EXPECT_EQ(code(request), StatusCode::INVALID_ARGUMENT);
    request = read_of_stream("a-1");
    request.mutable_options()->mutable_filter();
    EXPECT_EQ(code(request), StatusCode::INVALID_ARGUMENT);
    request = read_of_stream("a-1");
    request.mutable_options()->clear_count_option();
    EXPECT_EQ(code(request), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(backwards(subscription(read_of_stream("a-1")))), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(backwards(subscription(read_of_all()))), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(read_of_stream("a-1", 0)), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(read_request{}), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(from_revision(read_of_stream("a-1"), esproto::value_max + 1)),
              StatusCode::INVALID_ARGUMENT);
    request = from_position(read_of_all(), 5);
    request.mutable_options()->mutable_all()->mutable_position()->set_prepare_position(6);
    EXPECT_EQ(code(request), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(read_of_stream("")), StatusCode::INVALID_ARGUMENT);
}

TEST_P(streams_read_test, refuses_filters_that_say_nothing) {
    const auto filtered = [](auto change) {
        auto request = read_of_all();
        auto& filter = *request.mutable_options()->mutable_filter();
        filter.mutable_event_type()->add_prefix("A");
        filter.mutable_count();
        filter.set_checkpointintervalmultiplier(1);
        change(filter);
        return request;
    };
    const auto code = [this](const read_request& request) {
        return read(request).status.error_code();
    };
    EXPECT_EQ(code(filtered([](auto&) {})), StatusCode::OK);
    EXPECT_EQ(code(filtered([](auto& f) { f.clear_window(); })), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(filtered([](auto& f) { f.clear_filter(); })), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(filtered([](auto& f) { f.mutable_event_type()->clear_prefix(); })),
              StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code(subscription(filtered([](auto& f) { f.set_checkpointintervalmultiplier(0); }))),
              StatusCode::INVALID_ARGUMENT);
    const auto index =
        read(filtered([](auto& f) { f.mutable_stream_identifier()->add_prefix("$idx-x"); }));
    EXPECT_EQ(index.status.error_code(), StatusCode::NOT_FOUND);
    EXPECT_EQ(trailer(*index.context, "exception"), "index-not-found");
}

TEST_P(streams_read_test, a_client_that_stops_reading_and_comes_back_gets_everything) {
    const std::string large(100'000, 'x');
    for (std::uint64_t i = 0; i < 40; ++i) {
        ASSERT_TRUE(append("a-1", any, range(i * 10 + 1, i * 10 + 10), "Happened", large)
                        .response.has_success());
    }
    const auto context = make_context();
    const auto reader = streams_->Read(context.get(), read_of_stream("a-1"));
    write("b-1", {1}); // others go on meanwhile
    read_response message;
    std::uint64_t next = 0;
    while (reader->Read(&message)) {
        EXPECT_EQ(message.event().event().stream_revision(), next++);
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(next, 400u);
}

INSTANTIATE_TEST_SUITE_P(stores, streams_read_test,
                         testing::Values(adapter::memory, adapter::embedded), adapter_name);

} // namespace
} // namespace immortal::esdb
