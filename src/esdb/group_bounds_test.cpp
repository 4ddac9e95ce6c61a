// Events that are larger than those before them: a group takes what there is room for.
#include "esdb/group_registry_fixture.hpp"

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
    append("s-1", std::vector<std::string>(20, std::string(large, 'x')));
    std::vector<std::string> links;
    for (int i = 0; i < 170; ++i) {
        links.push_back(std::to_string(i) + "@s-1");
    }
    append("links", links, "$>");
    ASSERT_TRUE(create(define("links", settings(true))));
    expect_bounded("links", 170);
}

INSTANTIATE_TEST_SUITE_P(stores, group_bounds_test, testing::Values(kind::memory, kind::embedded),
                         kind_name);

} // namespace
} // namespace immortal::esdb
