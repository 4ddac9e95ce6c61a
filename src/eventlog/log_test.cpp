// The log as its users see it: appends, reads, restarts.
#include "base/metrics.hpp"
#include "eventlog/counting_file_system.hpp"
#include "eventlog/log_fixture.hpp"

#include <atomic>
#include <thread>

namespace immortal::eventlog {
namespace {

using expected = expected_revision;
using base::errc;

class log_test : public log_fixture {
protected:
    void SetUp() override { reopen(); }
};

TEST_F(log_test, what_was_written_is_there_after_a_restart) {
    const base::log_identity identity = open_->identity();
    for (std::uint64_t i = 0; i < 40; ++i) {
        ASSERT_TRUE(append("s-" + std::to_string(i % 4), expected::any(), events_of(i * 3 + 1, 3)));
    }
    const auto before = everything();
    ASSERT_EQ(before.size(), 120u);
    EXPECT_GT(segments(), 2u);
    reopen();
    EXPECT_EQ(open_->identity(), identity);
    const auto after = everything();
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < after.size(); ++i) {
        EXPECT_EQ(after[i].position, before[i].position);
        EXPECT_EQ(after[i].id, before[i].id);
        EXPECT_EQ(after[i].data, before[i].data);
        EXPECT_EQ(after[i].created, before[i].created);
    }
    EXPECT_EQ(open_->head().last_event, before.back().position);
    EXPECT_EQ(open_->stream_head("s-1").value(), base::revision{29});
}

TEST_F(log_test, idempotency_and_revisions_survive_a_restart) {
    const auto first = append("s-1", expected::any(), events_of(1, 3));
    reopen();
    const auto again = append("s-1", expected::any(), events_of(1, 3));
    ASSERT_TRUE(first && again);
    EXPECT_TRUE(again->repeated);
    EXPECT_EQ(again->position, first->position);
    EXPECT_EQ(append("s-1", expected::no_stream(), events_of(9, 1)).error().code, errc::conflict);
    EXPECT_TRUE(append("s-1", expected::at({2}), events_of(9, 1)));
}

TEST_F(log_test, remembered_ids_are_bounded) {
    settings.remembered_ids = 8;
    reopen();
    for (std::uint64_t i = 1; i <= 20; ++i) {
        ASSERT_TRUE(append("s-1", expected::any(), events_of(i, 1)));
    }
    EXPECT_TRUE(append("s-1", expected::any(), events_of(20, 1))->repeated);
    EXPECT_FALSE(append("s-1", expected::any(), events_of(1, 1))->repeated);
}

TEST_F(log_test, time_never_goes_back) {
    ASSERT_TRUE(append("s-1", expected::any(), events_of(1, 1)));
    const auto first = everything().back().created;
    clock.set(first - std::chrono::hours(10));
    ASSERT_TRUE(append("s-1", expected::any(), events_of(2, 1)));
    EXPECT_EQ(everything().back().created, first);
    reopen();
    ASSERT_TRUE(append("s-1", expected::any(), events_of(3, 1)));
    EXPECT_EQ(everything().back().created, first);
}

TEST_F(log_test, an_append_larger_than_a_segment_gets_one_of_its_own) {
    ASSERT_TRUE(append("s-1", expected::any(), events_of(1, 1)));
    ASSERT_TRUE(append("s-1", expected::any(), events_of(2, 3, 10'000)));
    ASSERT_TRUE(append("s-1", expected::any(), events_of(5, 1)));
    EXPECT_EQ(segments(), 3u);
    reopen();
    EXPECT_EQ(stream("s-1").size(), 5u);
    const auto back = open_->read_all({~0ull}, direction::backwards, 10);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->events.size(), 5u);
}

TEST_F(log_test, reading_on_from_a_boundary_gives_the_same_as_from_anywhere) {
    for (std::uint64_t i = 0; i < 60; ++i) {
        ASSERT_TRUE(append("s-1", expected::any(), events_of(i * 5 + 1, 1 + i % 5, 100)));
    }
    const auto all = everything();
    for (const std::size_t count : {1u, 2u, 7u, 50u}) {
        std::vector<recorded_event> read;
        base::position from;
        for (bool end = false; !end;) {
            const auto slice =
                open_->read_all(from, direction::forwards, count, {}, 1000, read_start::boundary);
            ASSERT_TRUE(slice) << slice.error().message;
            read.insert(read.end(), slice->events.begin(), slice->events.end());
            from = slice->next;
            end = slice->end;
        }
        ASSERT_EQ(read.size(), all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            EXPECT_EQ(read[i].position, all[i].position);
        }
    }
}

TEST_F(log_test, an_append_is_bounded_by_what_it_takes_in_the_log) {
    const auto complaint = [this](std::string name, std::size_t events) {
        const auto outcome = append(std::move(name), expected::any(), events_of(1, events));
        if (!outcome) {
            EXPECT_EQ(outcome.error().reason, "append_too_large");
        }
        return outcome ? std::string() : outcome.error().message;
    };
    const auto named = [](const std::string& message, const char* limit) {
        return message.find(limit) != std::string::npos;
    };
    settings.append_events_max = 100;
    settings.append_frame_size_max = 64 + 50 * 256;
    reopen();
    EXPECT_TRUE(named(complaint("s-1", 101), "100 events (event_log.append_events_max)"));
    EXPECT_EQ(complaint("s-2", 100), "");
    // Small events with a long name.
    EXPECT_TRUE(named(complaint(std::string(256, 'n'), 50), "(event_log.append_bytes_max)"));
    EXPECT_EQ(complaint(std::string(100, 'n'), 50), "");
    EXPECT_EQ(everything().size(), 150u);
}

// Every page of a large frame costs what it shows, not what the frame holds.
class large_frame_test : public log_fixture {
protected:
    static constexpr std::size_t count = 20'000;
    static constexpr std::size_t page = 100;
    // What a page may read: itself, what stands before it back to the last known record, and one
    // piece read ahead.
    static constexpr std::uint64_t page_bytes_max = 160u << 10u;

    void SetUp() override {
        settings.segment_size = 64u << 20u;
        open_ = log::open(settings, counted, clock, random, nullptr).value();
        ASSERT_TRUE(append("a-1", expected::any(), events_of(1, 3)));
        std::vector<stream_write> writes;
        writes.push_back({"b-1", expected::any(), events_of(10, count / 2, 40)});
        writes.push_back({"c-1", expected::any(), events_of(10 + count / 2, count / 2, 40)});
        ASSERT_TRUE(append(std::move(writes)));
        ASSERT_TRUE(append("a-1", expected::any(), events_of(100'000, 3)));
    }
    // The numbers of all events, read in pages.
    std::vector<std::uint64_t> read(direction way, const record_filter& filter = {}) {
        std::vector<std::uint64_t> out;
        base::position next = way == direction::forwards ? base::position{} : open_->head().end;
        pages = 0;
        for (bool end = false; !end; ++pages) {
            auto slice = open_->read_all(next, way, page, filter);
            EXPECT_TRUE(slice) << slice.error().message;
            if (!slice) {
                return out;
            }
            for (const auto& event : slice->events) {
                out.push_back(event.position.value);
            }
            next = slice->next;
            end = slice->end;
        }
        return out;
    }

    counting_file_system counted{disk};
    std::uint64_t pages = 0;
};

TEST_F(large_frame_test, is_read_in_pages_both_ways_at_the_cost_of_the_pages) {
    const auto before = counted.bytes_read();
    auto forwards = read(direction::forwards);
    EXPECT_EQ(forwards.size(), count + 6);
    EXPECT_TRUE(std::ranges::is_sorted(forwards));
    EXPECT_LT(counted.bytes_read() - before, pages * page_bytes_max);
    const auto middle = counted.bytes_read();
    auto backwards = read(direction::backwards);
    EXPECT_LT(counted.bytes_read() - middle, pages * page_bytes_max);
    std::ranges::reverse(backwards);
    EXPECT_EQ(backwards, forwards);
}

TEST_F(large_frame_test, is_read_backwards_by_a_log_that_was_just_opened) {
    const auto forwards = read(direction::forwards);
    open_.reset();
    open_ = log::open(settings, counted, clock, random, nullptr).value();
    const auto before = counted.bytes_read();
    auto backwards = read(direction::backwards);
    EXPECT_LT(counted.bytes_read() - before, pages * page_bytes_max);
    std::ranges::reverse(backwards);
    EXPECT_EQ(backwards, forwards);
}

TEST_F(large_frame_test, begins_anywhere_and_takes_what_is_wanted) {
    const auto all = read(direction::forwards);
    for (const std::size_t n : {std::size_t{2}, std::size_t{3}, count / 2, count, count + 3}) {
        for (const std::uint64_t inside : {0u, 1u}) { // between two events: the next one
            const auto slice = open_->read_all({all[n] + inside}, direction::forwards, 5);
            ASSERT_TRUE(slice);
            ASSERT_FALSE(slice->events.empty());
            EXPECT_EQ(slice->events[0].position.value, all[n + inside]);
        }
        const auto back = open_->read_all({all[n]}, direction::backwards, 3);
        ASSERT_TRUE(back && !back->events.empty());
        EXPECT_EQ(back->events[0].position.value, all[n - 1]);
    }
    std::size_t few = 0;
    const record_filter filter = [&few](const record_view&) { return few++ % 997 == 0; };
    const auto wanted = read(direction::forwards, filter);
    EXPECT_EQ(wanted.size(), (count + 6 + 996) / 997);
    const record_filter last = [](const record_view& record) { return record.stream == "a-1"; };
    EXPECT_EQ(read(direction::backwards, last).size(), 6u);
    EXPECT_EQ(read(direction::forwards, last).size(), 6u);
}

TEST_F(large_frame_test, says_where_it_is_damaged) {
    const auto all = read(direction::forwards);
    const std::uint64_t place = all[count / 2];
    counted.damage(place + 70);
    const auto good = open_->read_all({all[10]}, direction::forwards, 10);
    EXPECT_TRUE(good);
    const auto bad = open_->read_all({place}, direction::forwards, 10);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, errc::corrupt);
    EXPECT_EQ(open_->read_all({place + 200}, direction::backwards, 10).error().code, errc::corrupt);
}

TEST_F(log_test, a_second_opener_is_told) {
    const auto second = log::open(settings, disk, clock, random, nullptr);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, errc::already_exists);
    EXPECT_EQ(second.error().reason, "in_use");
}

TEST_F(log_test, a_closed_log_refuses_and_gives_the_folder_back) {
    ASSERT_TRUE(append("s-1", expected::any(), events_of(1, 1)));
    open_->close();
    EXPECT_EQ(append("s-1", expected::any(), events_of(2, 1)).error().code, errc::unavailable);
    EXPECT_EQ(open_->state(), log_state::closed);
    auto second = log::open(settings, disk, clock, random, nullptr);
    EXPECT_TRUE(second);
}

TEST_F(log_test, listeners_hear_of_durable_events_only) {
    std::vector<base::position> heard;
    const auto ticket = open_->add_listener([&](const publication& what) {
        heard.push_back(*what.head.last_event);
        const auto slice = open_->read_all(*what.head.last_event, direction::forwards, 1);
        EXPECT_TRUE(slice && slice->events.size() == 1);
        ASSERT_EQ(what.entries.size(), 2u);
        EXPECT_EQ(what.entries[1].stream, "s-1");
        EXPECT_EQ(what.entries[1].type, "Happened");
        EXPECT_EQ(what.entries[1].revision, base::revision{1});
        EXPECT_EQ(what.entries[1].position, *what.head.last_event);
    });
    const auto outcome = append("s-1", expected::any(), events_of(1, 2));
    EXPECT_EQ(heard, std::vector{outcome->position});
    open_->remove_listener(ticket);
    ASSERT_TRUE(append("s-1", expected::any(), events_of(3, 2)));
    EXPECT_EQ(heard.size(), 1u);
}

TEST_F(log_test, metrics_count_events) {
    base::metrics metrics;
    open_.reset();
    open_ = log::open(settings, disk, clock, random, &metrics).value();
    ASSERT_TRUE(append("s-1", expected::any(), events_of(1, 5)));
    open_->close();
    EXPECT_NE(metrics.text().find("immortal_eventlog_events_total 5"), std::string::npos);
}

TEST_F(log_test, the_queue_is_bounded) {
    settings.queue_appends_max = 4;
    reopen();
    // The writer is kept in a callback while the queue fills.
    std::promise<void> go;
    auto gate = go.get_future().share();
    std::promise<void> inside;
    open_->append(to_stream("s-1", expected::any(), events_of(1, 1)), [&inside, gate](const auto&) {
        inside.set_value();
        gate.wait();
    });
    inside.get_future().wait();
    std::vector<std::future<base::result<append_outcome>>> waiting;
    for (std::uint64_t i = 2; i < 6; ++i) {
        waiting.push_back(start_append(*open_, to_stream("s-1", expected::any(), events_of(i, 1))));
    }
    const auto refused = append("s-1", expected::any(), events_of(6, 1));
    EXPECT_EQ(refused.error().code, errc::exhausted);
    EXPECT_EQ(refused.error().reason, "queue_full");
    go.set_value();
    for (auto& each : waiting) {
        EXPECT_TRUE(each.get());
    }
}

TEST_F(log_test, concurrent_writers_and_readers_agree) {
    constexpr std::uint64_t writers = 8;
    constexpr std::uint64_t appends = 150;
    settings.group_wait_max = std::chrono::microseconds(150);
    reopen();
    std::atomic<bool> done{false};
    std::thread reader([&] {
        while (!done.load()) {
            std::uint64_t last = 0;
            for (const recorded_event& event : everything()) {
                EXPECT_GT(event.position.value, last);
                last = event.position.value;
            }
            const auto shared = stream("shared-1");
            const auto head = open_->stream_head("shared-1").value();
            EXPECT_TRUE(shared.empty() || (head && head->value + 1 >= shared.size()));
        }
    });
    std::vector<std::thread> threads;
    for (std::uint64_t w = 0; w < writers; ++w) {
        threads.emplace_back([&, w] {
            for (std::uint64_t i = 0; i < appends; ++i) {
                std::vector<stream_write> writes;
                const std::uint64_t n = (w * appends + i) * 2 + 1;
                writes.push_back({"own-" + std::to_string(w),
                                  i == 0 ? expected::no_stream() : expected::at({i - 1}),
                                  events_of(n, 1)});
                writes.push_back({"shared-1", expected::any(), events_of(n + 1, 1)});
                const auto outcome = start_append(*open_, std::move(writes)).get();
                EXPECT_TRUE(outcome) << outcome.error().message;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    done.store(true);
    reader.join();
    EXPECT_EQ(stream("shared-1").size(), writers * appends);
    EXPECT_EQ(everything().size(), writers * appends * 2);
    reopen();
    EXPECT_EQ(stream("own-3").size(), appends);
}

} // namespace
} // namespace immortal::eventlog
