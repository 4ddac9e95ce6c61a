// Reads of the embedded store let others have their thread: what one turn of an executor looks at
// is bounded, however much a read passes over before it finds something.
#include "base/memory_file_system.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "eventlog/log.hpp"
#include "eventlog/scavenger.hpp"
#include "eventstore/embedded_reading.hpp"
#include "eventstore/embedded_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

namespace immortal::eventstore {
namespace {

// Goes on by a millisecond whenever somebody looks, which reads do after each read of the file.
class counting_clock final : public base::clock {
public:
    [[nodiscard]] base::utc_time now() const override { return inner_.now(); }
    [[nodiscard]] base::steady_time steady_now() const override {
        if (counting) {
            ++looks;
            inner_.advance(std::chrono::milliseconds(1));
        }
        return inner_.steady_now();
    }
    mutable std::atomic<std::uint64_t> looks{0};
    std::atomic<bool> counting{false};

private:
    mutable base::manual_clock inner_{base::utc_time(std::chrono::hours(24 * 365 * 50))};
};

class read_slices_test : public testing::Test {
protected:
    static constexpr std::size_t removed = 300;   // events, an append each
    static constexpr std::uint64_t looks_max = 8; // of one turn

    void SetUp() override {
        auto opened = eventlog::log::open({.folder = "/log",
                                           .segment_size = 16'384,
                                           .free_space_min = 0,
                                           .group_wait_max = std::chrono::microseconds(0)},
                                          disk_, clock_, random_, nullptr);
        log_ = std::move(opened.value());
        store_ = make_embedded_store(*log_, &metrics_);
        for (std::size_t i = 0; i < removed; ++i) {
            append("s-1", "T", std::string(5'000, 'x')); // so large that each is read by itself
        }
        append("s-1", "T", "{}");
        append("$$s-1", "$metadata", R"({"$tb":)" + std::to_string(removed) + "}");
        for (std::size_t i = 0; i < 20; ++i) {
            append("other-1", "U", std::string(5'000, 'x'));
        }
        ASSERT_TRUE(log_->scavenges().start({}));
        log_->scavenges().wait(eventlog::scavenger::wait_how::to_the_end);
        ASSERT_GT(log_->scavenges().status().events_removed, removed / 2);
        append("$$s-1", "$metadata", "{}"); // what is gone is looked for again
        clock_.counting = true;
    }

    void append(const std::string& stream, const std::string& type, std::string data) {
        new_event event{base::uuid::make_random(random_), type, std::move(data), "",
                        eventlog::content::json};
        std::vector<stream_write> writes;
        writes.push_back({stream, {}, {std::move(event)}});
        std::promise<base::result<append_outcome>> answer;
        log_->append(std::move(writes), [&answer](base::result<append_outcome> outcome) {
            answer.set_value(outcome);
        });
        ASSERT_TRUE(answer.get_future().get());
    }

    // What `work` gives, run turn by turn.
    template <typename T>
    T run(awaitable<T> work) {
        boost::asio::io_context executor(1);
        auto future = boost::asio::co_spawn(executor, std::move(work), boost::asio::use_future);
        turns_ = 0;
        for (;;) {
            const std::uint64_t before = clock_.looks;
            if (executor.run_one() == 0) {
                break;
            }
            ++turns_;
            EXPECT_LE(clock_.looks - before, looks_max);
        }
        return future.get();
    }
    void expect_many_turns() const { EXPECT_GT(turns_, removed / 2 / looks_max); }

    base::metrics metrics_;
    base::memory_file_system disk_{7};
    counting_clock clock_;
    base::seeded_random random_{11};
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<event_store> store_;
    std::size_t turns_ = 0;
};

TEST_F(read_slices_test, a_view_of_removed_events) {
    const auto page = run(store_->read_stream("$et-T", {0}, direction::forwards, 10));
    ASSERT_TRUE(page);
    ASSERT_GE(page->events.size(), 1u);
    EXPECT_EQ(page->events.back().revision.value, removed);
    EXPECT_TRUE(page->end);
    expect_many_turns();
}

TEST_F(read_slices_test, a_view_of_removed_events_backwards) {
    const auto page = run(store_->read_stream("$et-T", {removed - 1}, direction::backwards, 10));
    ASSERT_TRUE(page);
    EXPECT_TRUE(page->end);
    expect_many_turns();
}

TEST_F(read_slices_test, a_stream_of_removed_events_both_ways) {
    const auto page = run(store_->read_stream("s-1", {0}, direction::forwards, 10));
    ASSERT_TRUE(page);
    ASSERT_GE(page->events.size(), 1u);
    EXPECT_EQ(page->events.back().revision.value, removed);
    expect_many_turns();
    const auto back = run(store_->read_stream("s-1", {removed - 1}, direction::backwards, 10));
    ASSERT_TRUE(back);
    EXPECT_TRUE(back->end);
    expect_many_turns();
}

TEST_F(read_slices_test, subscriptions_that_pass_over_removed_events) {
    for (const char* stream : {"s-1", "$et-T", "$ce-s"}) {
        const auto events = store_->subscribe_stream(stream, std::nullopt);
        const auto batch = run(events->next(10));
        ASSERT_TRUE(batch);
        EXPECT_GE(batch->events.size(), 1u);
        expect_many_turns();
    }
}

TEST_F(read_slices_test, links_to_removed_events) {
    std::vector<recorded_event> links;
    for (std::size_t i = 0; i < removed; ++i) {
        recorded_event link;
        link.type = "$>";
        link.data = std::to_string(i) + "@s-1";
        links.push_back(std::move(link));
    }
    const auto resolved = run(store_->resolve_links(std::move(links)));
    ASSERT_TRUE(resolved);
    EXPECT_EQ(resolved->size(), removed);
    EXPECT_FALSE(resolved->front().event);
    EXPECT_TRUE(resolved->front().link);
    EXPECT_GT(turns_, removed / 64);
}

TEST_F(read_slices_test, a_filter_that_wants_nothing_both_ways) {
    for (std::size_t i = 0; i < 3 * slice_bounds.records / 100; ++i) { // many small events
        std::vector<stream_write> writes;
        writes.push_back({"small-1", {}, {}});
        for (std::size_t n = 0; n < 100; ++n) {
            writes[0].events.push_back({base::uuid::make_random(random_), "V",
                                        std::string(400, 'x'), "", eventlog::content::json});
        }
        std::promise<base::result<append_outcome>> answer;
        log_->append(std::move(writes),
                     [&answer](base::result<append_outcome> got) { answer.set_value(got); });
        ASSERT_TRUE(answer.get_future().get());
    }
    const all_filter never{.stream_prefixes = {"never"}};
    const auto page = run(store_->read_all({0}, direction::forwards, 10, never));
    ASSERT_TRUE(page);
    EXPECT_TRUE(page->end && page->events.empty());
    EXPECT_GE(turns_, 3u);
    const auto back = run(store_->read_all({~0ull}, direction::backwards, 10, never));
    ASSERT_TRUE(back);
    EXPECT_TRUE(back->end && back->events.empty());
    EXPECT_GE(turns_, 3u);
}

TEST_F(read_slices_test, tells_the_longest_hold) {
    (void)run(store_->read_stream("$et-T", {0}, direction::forwards, 10));
    EXPECT_GT(metrics_.make_gauge("immortal_eventstore_read_hold_max_seconds", "").value(), 0.0);
}

// A page of large events ends when it has enough of them, and the following one goes on there.
TEST_F(read_slices_test, a_page_is_bounded_in_bytes) {
    clock_.counting = false;
    constexpr std::uint64_t large = 30;
    for (std::uint64_t i = 0; i < large; ++i) {
        append("large-1", "L", std::string(1u << 20u, 'x'));
    }
    for (const char* stream : {"large-1", "$et-L"}) {
        for (base::revision from{0}; from.value < large;) {
            const auto page = run(store_->read_stream(stream, from, direction::forwards, 32));
            ASSERT_TRUE(page && !page->events.empty());
            EXPECT_LE(page->events.size(), 6u);
            EXPECT_EQ(page->events.front().revision, from);
            from.value += page->events.size();
            EXPECT_EQ(page->end, from.value == large);
        }
        const auto back = run(store_->read_stream(stream, {large}, direction::backwards, 32));
        ASSERT_TRUE(back);
        EXPECT_LE(back->events.size(), 6u);
    }
    const eventstore::all_filter filter{.type_prefixes = {"L"}};
    std::size_t seen = 0;
    for (base::position from{0};;) {
        const auto page = run(store_->read_all(from, direction::forwards, 32, filter));
        ASSERT_TRUE(page);
        EXPECT_LE(page->events.size(), 6u);
        seen += page->events.size();
        from = page->next;
        if (page->end) {
            break;
        }
    }
    EXPECT_EQ(seen, large);
}

} // namespace
} // namespace immortal::eventstore
