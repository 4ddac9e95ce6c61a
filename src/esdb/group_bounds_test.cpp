// Events that are larger than those before them: a group takes what there is room for.
#include "esdb/group_registry_fixture.hpp"

#include <map>

namespace immortal::esdb {
namespace {

constexpr std::size_t mebibyte = 1u << 20;
constexpr std::size_t bound = 4 * mebibyte;
constexpr std::size_t large = 900 * 1024;

class group_bounds_test : public group_registry_test {
protected:
    void SetUp() override {
        group_memory_ = &memory_of_groups_;
        group_registry_test::SetUp();
    }
    void append(std::string stream, const std::vector<std::string>& data,
                const std::string& type = "Happened") {
        std::vector<eventstore::new_event> events;
        for (const std::string& each : data) {
            events.push_back({base::uuid::make_random(random_), type, each, {}});
        }
        std::vector<eventstore::stream_write> writes;
        writes.push_back({std::move(stream), expected_revision::any(), std::move(events)});
        ASSERT_TRUE(engine_.run(store().append(std::move(writes))));
    }
    static group_settings settings(bool resolve_links) {
        return {.resolve_links = resolve_links,
                .live_buffer_size = 200,
                .read_batch_size = 200,
                .history_buffer_size = 1'000};
    }
    // Every message in order, each answered when the next two have come; at no time more is held
    // than the bound and one event.
    void expect_bounded(const std::string& stream, std::uint64_t count) {
        const auto consumer = connect(stream, 1'000);
        std::vector<group_message> unanswered;
        for (std::uint64_t i = 0; i < count; ++i) {
            auto came = take(*consumer, 1);
            ASSERT_EQ(came.size(), 1u);
            EXPECT_EQ(came.front().original().revision.value, i);
            unanswered.push_back(std::move(came.front()));
            ASSERT_LE(memory_of_groups_.held(), bound + mebibyte) << "message " << i;
            if (unanswered.size() > 2) {
                ack(*consumer, {unanswered.front()}, stream);
                unanswered.erase(unanswered.begin());
            }
        }
        ack(*consumer, unanswered, stream);
        eventually([&] { return memory_of_groups_.held() == 0; }, "everything to be settled");
    }

    static group_message make_hollow_copy(group_message message) {
        make_hollow(message);
        return message;
    }
    // Empty: nothing came within some time.
    std::optional<group_message> now(group_consumer& from) {
        auto message = engine_.run(runtime::with_deadline(next_of(from), 20ms));
        return message ? std::optional(std::move(*message)) : std::nullopt;
    }

    group_memory memory_of_groups_{bound};
};

TEST_P(group_bounds_test, large_events_after_small_ones) {
    append("s-1", std::vector<std::string>(150, "{}"));
    append("s-1", std::vector<std::string>(20, std::string(large, 'x')));
    append("s-1", std::vector<std::string>(20, "{}"));
    ASSERT_TRUE(create(define("s-1", settings(false))));
    expect_bounded("s-1", 190);
}

TEST_P(group_bounds_test, links_to_large_events) {
    append("s-1", std::vector<std::string>(150, "{}"));
    append("s-1", std::vector<std::string>(40, std::string(large, 'x')));
    std::vector<std::string> links;
    for (int i = 0; i < 190; ++i) {
        links.push_back(std::to_string(i) + "@s-1");
    }
    append("links", links, "$>");
    ASSERT_TRUE(create(define("links", settings(true))));
    expect_bounded("links", 190);
}

// Of every three groups one answers, one never does, and one has no consumer: what all hold is
// bounded, who answers goes on, and what was let go comes again when it is asked for.
TEST_P(group_bounds_test, many_groups_with_large_events) {
    constexpr int groups = 24; // 21 MiB, if each of them holds one event
    constexpr std::uint64_t events = 3;
    const auto name = [](int number) { return "s-" + std::to_string(number); };
    for (int i = 0; i < groups; ++i) {
        append(name(i), std::vector<std::string>(events, std::string(large, 'x')));
        ASSERT_TRUE(create(define(name(i), settings(false))));
    }
    const auto expect_bound = [&] { ASSERT_LT(memory_of_groups_.held(), bound + mebibyte); };
    std::vector<std::shared_ptr<group_consumer>> silent;
    for (int i = 1; i < groups; i += 3) {
        silent.push_back(connect(name(i), 1));
    }
    for (const auto& one : silent) {
        EXPECT_EQ(revisions(take(*one, 1)), numbers{0});
        expect_bound();
    }
    for (int i = 0; i < groups; i += 3) {
        const auto consumer = connect(name(i), 1);
        for (std::uint64_t k = 0; k < events; ++k) {
            const auto came = take(*consumer, 1);
            ASSERT_EQ(revisions(came), numbers{k});
            expect_bound();
            ack(*consumer, came, name(i));
        }
    }
    for (int i = 1; i < groups; i += 3) { // as another consumer comes
        runner(name(i))->disconnect(*silent[static_cast<std::size_t>(i / 3)]);
        const auto consumer = connect(name(i), 1);
        for (std::uint64_t k = 0; k < events; ++k) {
            const auto came = take(*consumer, 1);
            ASSERT_EQ(revisions(came), numbers{k});
            EXPECT_EQ(came.front().event->event->data.size(), large);
            EXPECT_EQ(came.front().retry_count, k == 0 ? 1 : 0);
            expect_bound();
            ack(*consumer, came, name(i));
        }
    }
}

TEST_P(group_bounds_test, what_was_let_go_before_it_was_sent_is_read_again) {
    for (const char* stream : {"s-1", "s-2"}) {
        append(stream, std::vector<std::string>(3, std::string(large, 'x')));
        ASSERT_TRUE(create(define(stream, settings(false))));
    }
    const auto slow = connect("s-1", 3); // takes nothing yet
    const auto other = connect("s-2", 3);
    ack(*other, take(*other, 3), "s-2");
    const auto offered = take(*slow, 3);
    EXPECT_EQ(revisions(offered), (numbers{0, 1, 2}));
    std::size_t let_go = 0;
    for (const group_message& one : offered) {
        let_go += one.let_go;
        const auto whole = engine_.run(runner("s-1")->whole(*slow, one));
        ASSERT_TRUE(whole);
        EXPECT_EQ(whole->event->event->data.size(), large);
        EXPECT_LT(memory_of_groups_.held(), bound + mebibyte);
        runner("s-1")->ack(*slow, std::span(&one.id, 1));
    }
    EXPECT_GE(let_go, large);
    EXPECT_FALSE(engine_.run(runner("s-1")->whole(*slow, make_hollow_copy(offered.front()))))
        << "it is answered";
}

// Buckets whose consumer does not answer: their messages are let go, and come in their order.
TEST_P(group_bounds_test, pinned_messages_keep_their_order) {
    constexpr std::uint64_t events = 40;
    std::vector<std::string> links;
    for (std::uint64_t i = 0; i < events; ++i) {
        append("s-" + std::to_string(i % 8), {std::string(large / 4, 'x')});
        links.push_back(std::to_string(i / 8) + "@s-" + std::to_string(i % 8));
    }
    append("links", links, "$>");
    append("other", std::vector<std::string>(6, std::string(large, 'x')));
    group_settings pinned = settings(true);
    pinned.strategy = consumer_strategy::pinned;
    ASSERT_TRUE(create(define("links", pinned)));
    ASSERT_TRUE(create(define("other", settings(false))));
    const auto one = connect("links", 1);
    const auto two = connect("links", 1);
    const auto other = connect("other", 3); // presses
    std::map<std::string, numbers> came;
    const auto held = take(*other, 3);
    std::size_t count = 0;
    eventually(
        [&] {
            for (const auto& consumer : {one, two}) {
                for (auto message = now(*consumer); message; message = now(*consumer)) {
                    const auto& event = *message->event->event;
                    came[event.stream].push_back(event.revision.value);
                    ack(*consumer, {*message}, "links");
                    ++count;
                }
            }
            return count == events;
        },
        "every message");
    for (const auto& [stream, revisions] : came) {
        EXPECT_EQ(revisions, (numbers{0, 1, 2, 3, 4})) << stream;
    }
}

INSTANTIATE_TEST_SUITE_P(stores, group_bounds_test, testing::Values(kind::memory, kind::embedded),
                         kind_name);

} // namespace
} // namespace immortal::esdb
