// Who is woken by what, without threads.
#include "base/metrics.hpp"
#include "eventlog/event.hpp"
#include "eventstore/publication_board.hpp"

#include <gtest/gtest.h>

#include <map>

namespace immortal::eventstore {
namespace {

using entries = std::vector<eventlog::index_entry>;
using names = std::vector<std::string>;

class publication_board_test : public testing::Test {
protected:
    publication_watch& watch(const std::string& stream) {
        auto& made = watches_[stream];
        made = board_->watch_stream(stream);
        return *made;
    }
    std::unique_ptr<publication_watch> watch_all(const all_filter& filter) {
        return board_->watch_all(event_filter::compile(filter).value());
    }
    eventlog::index_entry event(std::string_view stream, std::string_view type = "T",
                                std::uint64_t revision = 1, std::string_view correlation = {}) {
        end_.value += 100;
        return {stream, type, correlation, {revision}, end_};
    }
    void publish(const entries& events) {
        end_.value += 50;
        (void)board_->hand_over(end_, events);
    }
    // Who of those who wait for streams and views was woken by these events.
    names woken_by(const entries& events) {
        std::map<std::string, std::uint64_t> before;
        for (const auto& [name, one] : watches_) {
            before[name] = one->look().version;
        }
        publish(events);
        board_->work();
        names out;
        for (const auto& [name, one] : watches_) {
            const std::uint64_t raised = one->look().version - before[name];
            EXPECT_LE(raised, 1u);
            if (raised > 0) {
                out.push_back(name);
            }
        }
        return out;
    }
    double evaluations() {
        return metrics_.make_counter("immortal_eventstore_filter_evaluations_total", "").value();
    }

    base::metrics metrics_;
    base::position end_{256};
    std::shared_ptr<publication_board> board_ = std::make_shared<publication_board>(&metrics_);
    std::map<std::string, std::unique_ptr<publication_watch>> watches_;
};

TEST_F(publication_board_test, wakes_those_whom_it_concerns_and_nobody_else) {
    for (const char* name : {"cat-1", "cat-2", "dog-1", "$ce-cat", "$ce-dog", "$et-T", "$et-U",
                             "$bc-c1", "$bc-c2", "$streams", "$category-cat", "$ce-", "$$cat-1"}) {
        watch(name);
    }
    EXPECT_EQ(woken_by({event("cat-1")}), (names{"$ce-cat", "$et-T", "cat-1"}));
    EXPECT_EQ(woken_by({event("cat-9", "V")}), (names{"$ce-cat"}));
    EXPECT_EQ(woken_by({event("bird", "U", 3, "c2")}), (names{"$bc-c2", "$et-U"}));
    EXPECT_EQ(woken_by({event("dog-7", "V", 0)}), (names{"$ce-dog", "$streams"}));
    EXPECT_EQ(woken_by({event("cat-7", "V", 0)}), (names{"$category-cat", "$ce-cat", "$streams"}));
    EXPECT_EQ(woken_by({event("bird", "V"), event("cat-2", "V"), event("cat-2", "V")}),
              (names{"$ce-cat", "cat-2"}));
    EXPECT_EQ(woken_by({event("bird", "V")}), names{});
    watches_.erase("cat-1");
    EXPECT_EQ(woken_by({event("cat-1", "V")}), (names{"$ce-cat"}));
}

TEST_F(publication_board_test, metadata_and_tombstones_wake_the_readers_of_the_stream) {
    for (const char* name : {"a", "$$a", "b", "$$b", "$$$$a"}) {
        watch(name);
    }
    EXPECT_EQ(woken_by({event("$$a", "$metadata")}), (names{"$$a", "a"}));
    EXPECT_EQ(woken_by({event("a", "$streamDeleted", eventlog::tombstone_revision.value)}),
              (names{"$$a", "a"}));
    EXPECT_EQ(woken_by({event("b")}), (names{"b"}));
}

TEST_F(publication_board_test, what_is_too_much_to_be_told_concerns_everybody) {
    watch("quiet-1");
    watch("$bc-x");
    const auto filtered = watch_all({.type_prefixes = {"Never"}});
    const auto before = filtered->look();
    std::vector<std::string> streams;
    for (std::size_t i = 0; i <= publication_summary::touches_max; ++i) {
        streams.push_back("s-" + std::to_string(i));
    }
    entries many;
    for (const std::string& stream : streams) {
        many.push_back(event(stream));
    }
    EXPECT_EQ(woken_by(many), (names{"$bc-x", "quiet-1"}));
    EXPECT_EQ(filtered->look().version, before.version + 1);
    EXPECT_EQ(filtered->look().events, before.events + many.size());
    EXPECT_FALSE(filtered->quiet_from({256}));  // something may be wanted
    EXPECT_EQ(woken_by({event("a")}), names{}); // that was once
}

TEST_F(publication_board_test, a_summary_of_both_tells_no_names) {
    publication_summary first;
    publication_summary later;
    first.add({1'000}, entries{event("a"), event("a"), event("b")}, correlations::ignored);
    EXPECT_EQ(first.size(), 2u); // neighbours count as one
    EXPECT_EQ(first.events(), 3u);
    EXPECT_TRUE(first.complete());
    later.add({2'000}, entries{event("c", "T", 0, "id")}, correlations::kept);
    EXPECT_EQ(later[0].correlation, "id");
    EXPECT_TRUE(later[0].first_event);
    first.absorb(later);
    EXPECT_FALSE(first.complete());
    EXPECT_EQ(first.end(), base::position{2'000});
    EXPECT_EQ(first.last_event(), end_);
    EXPECT_EQ(first.events(), 4u);
    first.clear();
    EXPECT_TRUE(first.empty() && first.complete());
}

TEST_F(publication_board_test, equal_filters_are_evaluated_once) {
    std::vector<std::unique_ptr<publication_watch>> all;
    for (int i = 0; i < 50; ++i) {
        all.push_back(watch_all({.stream_expression = "^never"}));
        all.push_back(watch_all({.stream_prefixes = {"never"}}));
    }
    publish({event("a-1"), event("a-2"), event("a-3")});
    board_->work();
    EXPECT_EQ(evaluations(), 2 * 3);
    for (const auto& one : all) {
        EXPECT_EQ(one->look().version, 0u);
    }
    publish({event("never-1"), event("a-2")});
    board_->work();
    for (const auto& one : all) {
        EXPECT_EQ(one->look().version, 1u);
    }
    all.clear();
    publish({event("never-1")});
    board_->work();
    EXPECT_EQ(evaluations(), 2 * 3 + 2 * 2); // nobody is left
}

TEST_F(publication_board_test, what_a_filter_does_not_want_is_passed_over) {
    board_->begin({256});
    const auto one = watch_all({.stream_prefixes = {"wanted"}});
    EXPECT_FALSE(one->quiet_from({256}));
    publish({event("a"), event("b")});
    const base::position last{end_.value - 50};
    board_->work();
    const auto quiet = one->quiet_from({256});
    ASSERT_TRUE(quiet && quiet->quiet);
    EXPECT_EQ(quiet->next, end_);
    EXPECT_EQ(quiet->last_event, last);
    EXPECT_EQ(quiet->events, 2u);
    EXPECT_FALSE(one->quiet_from({255})); // from before it was there, nothing is known
    const base::position wanted_from = end_;
    publish({event("wanted-1"), event("c")});
    board_->work();
    publish({event("d")});
    board_->work();
    const auto before = one->quiet_from({256});
    ASSERT_TRUE(before);
    EXPECT_FALSE(before->quiet);
    EXPECT_EQ(before->next, wanted_from);
    EXPECT_EQ(before->events, 2u);
    EXPECT_FALSE(one->quiet_from(wanted_from)); // it has to look
    const auto behind = one->quiet_from({wanted_from.value + 250});
    ASSERT_TRUE(behind && behind->quiet);
    EXPECT_EQ(behind->events, 5u);
    EXPECT_EQ(behind->next, end_);
    EXPECT_FALSE(one->quiet_from(end_));
}

TEST_F(publication_board_test, of_old_matches_only_so_many_are_remembered) {
    const auto one = watch_all({.stream_prefixes = {"wanted"}});
    board_->work();
    for (int i = 0; i < 1000; ++i) {
        publish({event("wanted-1")});
        board_->work();
        publish({event("other")});
        board_->work();
    }
    EXPECT_FALSE(one->quiet_from({256})); // forgotten: look
    const auto lately = one->quiet_from({end_.value - 140});
    ASSERT_TRUE(lately && lately->quiet);
}

TEST_F(publication_board_test, who_counts_is_told_of_what_does_not_concern_him) {
    const auto counting = watch_all({.stream_prefixes = {"never"}});
    const auto other = watch_all({.stream_prefixes = {"never"}});
    auto seen = counting->look();
    ASSERT_TRUE(counting->ask_report(seen, 3));
    publish({event("a"), event("b")});
    board_->work();
    EXPECT_EQ(counting->look().version, seen.version); // only two
    EXPECT_TRUE(board_->wants_report());
    publish({event("c")});
    board_->work();
    EXPECT_EQ(counting->look().version, seen.version + 1);
    EXPECT_FALSE(board_->wants_report());
    EXPECT_FALSE(counting->ask_report(seen, 10)); // it has not looked since
    seen = counting->look();
    ASSERT_TRUE(counting->ask_report(seen, 10));
    board_->report();
    EXPECT_EQ(counting->look().version, seen.version); // nothing to tell
    publish({event("d")});
    board_->work();
    board_->report();
    EXPECT_EQ(counting->look().version, seen.version + 1);
    seen = counting->look();
    ASSERT_TRUE(counting->ask_report(seen, 1));
    counting->end_report();
    publish({event("e")});
    board_->work();
    board_->report();
    EXPECT_EQ(counting->look().version, seen.version);
    EXPECT_EQ(other->look().version, 0u);
}

TEST_F(publication_board_test, who_comes_later_knows_nothing_of_what_was_handed_over_before) {
    const auto first = watch_all({.stream_prefixes = {"a"}});
    publish({event("b-1")});
    const base::position between = end_;
    const auto later = watch_all({.stream_prefixes = {"b"}});
    board_->work();
    EXPECT_FALSE(later->quiet_from({256}));
    EXPECT_FALSE(later->quiet_from(between));
    publish({event("c-1")});
    board_->work();
    EXPECT_FALSE(later->quiet_from({256}));
    const auto quiet = later->quiet_from(between);
    ASSERT_TRUE(quiet && quiet->quiet);
}

} // namespace
} // namespace immortal::eventstore
