// Streams that are truncated, deleted and ended, in a log: what survives a restart, a full disk and
// concurrent readers. The rules themselves are scenarios of the event-store port.
#include "eventlog/log_fixture.hpp"
#include "eventlog/metadata_cache.hpp"
#include "eventlog/stream_states.hpp"

#include <atomic>
#include <string>
#include <thread>

namespace immortal::eventlog {
namespace {

using expected = expected_revision;

class stream_rules_test : public log_fixture {
protected:
    void SetUp() override { reopen(); }

    base::result<append_outcome> change(std::string stream, stream_write::action what) {
        std::vector<stream_write> writes;
        writes.push_back({std::move(stream), expected::any(), {}, what});
        return append(std::move(writes));
    }
    base::result<append_outcome> set_metadata(const std::string& stream, std::string json) {
        new_event event = event_of(++metadata_ + 1'000'000);
        event.type = "$metadata";
        event.data = std::move(json);
        return append("$$" + stream, expected::any(), {std::move(event)});
    }
    std::vector<std::uint64_t> shown(std::string_view name) {
        std::vector<std::uint64_t> out;
        for (const recorded_event& event : stream(name)) {
            out.push_back(event.revision.value);
        }
        return out;
    }
    base::errc read_error(std::string_view name) {
        const auto slice = open_->read_stream(name, {0}, direction::forwards, 1);
        return slice ? base::errc::internal : slice.error().code;
    }

    std::uint64_t metadata_ = 0;
};

using numbers = std::vector<std::uint64_t>;

TEST_F(stream_rules_test, deletes_survive_a_restart) {
    append("soft", expected::any(), events_of(1, 3)).value();
    append("hard", expected::any(), events_of(10, 3)).value();
    append("kept", expected::any(), events_of(20, 3)).value();
    change("soft", stream_write::action::soft_delete).value();
    change("hard", stream_write::action::tombstone).value();
    set_metadata("kept", R"({"$maxCount":1})").value();
    reopen();
    EXPECT_TRUE(open_->info("soft")->soft_deleted);
    EXPECT_EQ(shown("soft"), numbers{});
    EXPECT_TRUE(open_->info("hard")->tombstoned);
    EXPECT_EQ(read_error("hard"), base::errc::deleted);
    EXPECT_EQ(read_error("$$hard"), base::errc::deleted);
    EXPECT_EQ(shown("kept"), numbers{2});
    // The writer knows it too, and goes on from there.
    EXPECT_EQ(append("hard", expected::any(), events_of(30, 1)).error().code, base::errc::deleted);
    EXPECT_EQ(append("soft", expected::no_stream(), events_of(31, 1))->last_revisions[0],
              base::revision{3});
    reopen();
    EXPECT_EQ(shown("soft"), numbers{3});
    EXPECT_EQ(open_->tombstone("hard").value()->revision, tombstone_revision);
    EXPECT_FALSE(open_->tombstone("soft").value());
}

TEST_F(stream_rules_test, age_hides_a_beginning) {
    for (std::uint64_t i = 0; i < 40; ++i) {
        append("s", expected::any(), events_of(i + 1, 1)).value();
        clock.advance(std::chrono::seconds(10));
    }
    set_metadata("s", R"({"$maxAge":95})").value();
    EXPECT_EQ(shown("s"), (numbers{31, 32, 33, 34, 35, 36, 37, 38, 39}));
    clock.advance(std::chrono::seconds(10));
    EXPECT_EQ(shown("s").front(), 32u);
    EXPECT_EQ(open_->read_stream("s", {0}, direction::forwards, 1)->next_readable,
              base::revision{32});
    clock.advance(std::chrono::seconds(1000));
    EXPECT_EQ(shown("s"), numbers{});
    EXPECT_EQ(open_->read_stream("s", {0}, direction::forwards, 1)->last, base::revision{39});
}

TEST_F(stream_rules_test, what_a_full_disk_takes_back_is_not_remembered) {
    append("s", expected::any(), events_of(1, 2)).value();
    disk.fail_all(base::memory_file_system::step_kind::write, base::file_error::kind::no_space);
    EXPECT_EQ(change("s", stream_write::action::tombstone).error().code, base::errc::exhausted);
    EXPECT_EQ(change("s", stream_write::action::soft_delete).error().code, base::errc::exhausted);
    disk.fail_all(std::nullopt);
    EXPECT_EQ(shown("s"), (numbers{0, 1}));
    EXPECT_EQ(append("s", expected::at({1}), events_of(5, 1))->last_revisions[0],
              base::revision{2});
}

TEST_F(stream_rules_test, what_a_full_disk_takes_back_leaves_the_older_event_of_its_id_known) {
    const auto first = append("s", expected::any(), events_of(1, 1));
    ASSERT_TRUE(first);
    disk.fail_all(base::memory_file_system::step_kind::write, base::file_error::kind::no_space);
    auto both = events_of(1, 1); // the older one's id twice
    both.push_back(both.front());
    EXPECT_EQ(append("s", expected::at({0}), both).error().code, base::errc::exhausted);
    disk.fail_all(std::nullopt);
    const auto repeated = append("s", expected::any(), events_of(1, 1));
    ASSERT_TRUE(repeated) << repeated.error().message;
    EXPECT_EQ(repeated->position, first->position);
    EXPECT_EQ(shown("s"), (numbers{0})) << "written twice";
}

TEST_F(stream_rules_test, an_acknowledged_change_is_seen_by_the_next_read) {
    append("s", expected::any(), events_of(1, 1)).value();
    std::atomic<bool> done = false;
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] { // keep the cache filled with what was true a moment ago
            while (!done) {
                EXPECT_TRUE(open_->read_stream("s", {0}, direction::forwards, 10));
            }
        });
    }
    for (std::uint64_t i = 0; i < 200; ++i) {
        EXPECT_TRUE(change("s", stream_write::action::soft_delete));
        EXPECT_TRUE(open_->read_stream("s", {0}, direction::forwards, 10)->soft_deleted);
        EXPECT_TRUE(append("s", expected::any(), events_of(100 + i, 1)));
        EXPECT_EQ(shown("s"), numbers{i + 1});
    }
    done = true;
    for (std::thread& reader : readers) {
        reader.join();
    }
}

TEST_F(stream_rules_test, few_streams_are_known_by_heart_and_all_are_decided_right) {
    settings.known_streams = 4;
    settings.known_metadata = 64;
    reopen();
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 40; ++i) {
            const std::string name = "s-" + std::to_string(i);
            const auto before = static_cast<std::uint64_t>(round);
            const auto outcome =
                append(name, round == 0 ? expected::no_stream() : expected::at({before * 2 - 1}),
                       events_of(static_cast<std::uint64_t>(round * 100 + i) * 2 + 1, 2));
            EXPECT_TRUE(outcome) << outcome.error().message;
            EXPECT_TRUE(change(name, stream_write::action::soft_delete));
        }
    }
    EXPECT_TRUE(open_->info("s-7")->soft_deleted);
}

TEST(metadata_cache, keeps_nothing_that_was_forgotten_meanwhile) {
    metadata_cache cache(128);
    const auto old = cache.find("s");
    EXPECT_FALSE(old.known);
    cache.forget("s");
    cache.keep("s", old.ticket, std::make_shared<const stream_metadata>());
    const auto now = cache.find("s");
    EXPECT_FALSE(now.known);
    cache.keep("s", now.ticket, nullptr);
    EXPECT_TRUE(cache.find("s").known);
    for (int i = 0; i < 10'000; ++i) {
        const std::string name = std::to_string(i);
        cache.keep(name, cache.find(name).ticket, nullptr);
    }
    EXPECT_FALSE(cache.find("s").known); // bounded
}

TEST(stream_states, hold_at_least_half_of_their_capacity) {
    stream_states states(8);
    for (std::uint64_t i = 0; i < 100; ++i) {
        states.add(std::to_string(i), {base::revision{i}, std::nullopt, false});
    }
    for (std::uint64_t i = 96; i < 100; ++i) {
        const stream_state* found = states.find(std::to_string(i));
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found->last, base::revision{i});
    }
    EXPECT_EQ(states.find("50"), nullptr);
    states.clear();
    EXPECT_EQ(states.find("99"), nullptr);
}

} // namespace
} // namespace immortal::eventlog
