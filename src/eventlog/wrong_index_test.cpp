// An index that does not agree with the log: it is not believed, and nothing is removed by it.
#include "base/patience_testing.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/disk_index.hpp"
#include "eventlog/index_damage_fixture.hpp"
#include "eventlog/scavenger.hpp"

namespace immortal::eventlog {
namespace {

// An index that is sound in itself, and takes two streams for each other.
class wrong_index_test : public index_damage_test {
protected:
    enum class newest : std::uint8_t { there, missing };
    void plant(const std::string& one, const std::string& other,
               newest entry = newest::there) { // the newest event of all
        reopen();
        index_part part(true);
        std::vector<index_entry> frame;
        base::position begin;
        const auto events = everything();
        for (const recorded_event& event : events) {
            if (frame.empty()) {
                begin.value = event.position.value - sizeof(format::frame_header);
            }
            const std::string& name = event.stream == one     ? other
                                      : event.stream == other ? one
                                                              : event.stream;
            if (entry == newest::there || event.id != events.back().id) {
                frame.push_back({name, event.type, {}, event.revision, event.position});
            }
            if (event.last_in_batch && !frame.empty()) {
                part.add(begin, frame);
                frame.clear();
            }
        }
        open_.reset();
        const auto anchor = read_anchor_beside_writer(disk, folder);
        ASSERT_TRUE(anchor && *anchor);
        const anchor_state& state = **anchor;
        auto store =
            index_store::make({.folder = index_folder, .place_spacing = 8}, disk, state.log);
        ASSERT_TRUE(store);
        ASSERT_TRUE((*store)->add(part, {state.end, state.chain, state.event_count,
                                         state.last_event, events.back().created}));
        store->reset();
        reopen();
    }
    scavenge_status scavenge() {
        const auto id = open_->scavenges().start({});
        EXPECT_TRUE(id) << id.error().message;
        open_->scavenges().wait(scavenger::wait_how::to_the_end);
        return open_->scavenges().status();
    }
    void set_metadata_of(const std::string& stream, std::uint64_t number, const std::string& json) {
        ASSERT_TRUE(append(metadata_stream_of(stream), expected::any(),
                           {{id_of(number), metadata_type, json, "", content::json}}));
    }
};

TEST_F(wrong_index_test, a_scavenge_removes_nothing_by_the_metadata_of_another_stream) {
    reopen();
    set_metadata_of("kept-1", 1, R"({"$maxCount":1000})");
    set_metadata_of("short-1", 2, R"({"$maxCount":1})");
    for (std::uint64_t i = 0; i < 50; ++i) {
        ASSERT_TRUE(append("kept-1", expected::any(), events_of(100 + i * 2, 1, 400)));
        ASSERT_TRUE(append("short-1", expected::any(), events_of(101 + i * 2, 1, 400)));
    }
    plant("$$kept-1", "$$short-1");
    static_cast<void>(scavenge());
    const auto kept = answer_at_last(
        [&] { return open_->read_stream("kept-1", {0}, direction::forwards, 1000); });
    ASSERT_TRUE(kept) << kept.error().message;
    EXPECT_EQ(kept->events.size(), 50u) << "removed for good";
}

TEST_F(wrong_index_test, a_scavenge_removes_nothing_by_the_number_of_another_streams_events) {
    reopen();
    set_metadata_of("few-1", 1, R"({"$maxCount":10})");
    for (std::uint64_t i = 0; i < 50; ++i) {
        ASSERT_TRUE(append("many-1", expected::any(), events_of(100 + i * 2, 1, 400)));
        if (i < 10) {
            ASSERT_TRUE(append("few-1", expected::any(), events_of(101 + i * 2, 1, 400)));
        }
    }
    // The newest event is looked at when the log is opened: this one the index has right.
    ASSERT_TRUE(append("last-1", expected::any(), events_of(300, 1)));
    plant("few-1", "many-1");
    static_cast<void>(scavenge());
    const auto few =
        answer_at_last([&] { return open_->read_stream("few-1", {0}, direction::forwards, 1000); });
    ASSERT_TRUE(few) << few.error().message;
    EXPECT_EQ(few->events.size(), 10u) << "removed for good";
}

TEST_F(wrong_index_test, an_append_does_not_rest_on_another_streams_events) {
    reopen();
    ASSERT_TRUE(append("one-1", expected::any(), events_of(100, 3)));
    ASSERT_TRUE(append("other-1", expected::any(), events_of(200, 5)));
    set_metadata_of("there-1", 1, R"({"$maxCount":1000})");
    ASSERT_TRUE(append("there-1", expected::any(), events_of(300, 1)));
    set_metadata_of("gone-1", 2, R"({"$tb":9223372036854775807})");
    settings.remembered_ids = 0;
    plant("one-1", "other-1");
    std::size_t delays = 0;
    const auto next =
        answer_at_last([&] { return append("one-1", expected::any(), events_of(110, 1)); }, delays);
    EXPECT_GT(delays, 0u);
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_EQ(next->last_revisions.front(), base::revision{3});
    const auto repeated =
        answer_at_last([&] { return append("one-1", expected::no_stream(), events_of(100, 3)); });
    ASSERT_TRUE(repeated) << repeated.error().message;
    plant("$$there-1", "$$gone-1");
    const auto second =
        answer_at_last([&] { return append("there-1", expected::no_stream(), events_of(310, 1)); });
    ASSERT_FALSE(second) << "the stream was taken for a deleted one";
    EXPECT_EQ(second.error().code, errc::conflict);
    const std::size_t count = everything().size();
    reopen();
    EXPECT_EQ(everything().size(), count);
}

TEST_F(wrong_index_test, a_reader_is_shown_no_events_of_another_stream) {
    reopen();
    ASSERT_TRUE(append("one-1", expected::any(), events_of(100, 3)));
    ASSERT_TRUE(append("other-1", expected::any(), events_of(200, 3)));
    ASSERT_TRUE(append("last-1", expected::any(), events_of(300, 1)));
    plant("one-1", "other-1");
    std::size_t delays = 0;
    const auto read = answer_at_last(
        [&] { return open_->read_stream("one-1", {0}, direction::forwards, 10); }, delays);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_GT(delays, 0u);
    ASSERT_EQ(read->events.size(), 3u);
    EXPECT_EQ(read->events.front().stream, "one-1");
    EXPECT_EQ(read->events.front().id, id_of(100));
}

TEST_F(wrong_index_test, a_reader_is_not_led_by_the_metadata_of_another_stream) {
    reopen();
    ASSERT_TRUE(append("kept-1", expected::any(), events_of(100, 5)));
    ASSERT_TRUE(append("short-1", expected::any(), events_of(200, 5)));
    set_metadata_of("kept-1", 1, R"({"$maxCount":1000})");
    set_metadata_of("short-1", 2, R"({"$maxCount":1})");
    ASSERT_TRUE(append("last-1", expected::any(), events_of(300, 1)));
    plant("$$kept-1", "$$short-1");
    const auto read =
        answer_at_last([&] { return open_->read_stream("kept-1", {0}, direction::forwards, 10); });
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->events.size(), 5u);
}

// It has no gap and no wrong entry, and would give a revision twice.
TEST_F(wrong_index_test, an_index_without_the_newest_entry_is_not_believed) {
    reopen();
    ASSERT_TRUE(append("one-1", expected::any(), events_of(100, 3)));
    ASSERT_TRUE(append("other-1", expected::any(), events_of(200, 5)));
    ASSERT_TRUE(append("one-1", expected::any(), events_of(110, 1)));
    settings.remembered_ids = 0;
    plant("", "", newest::missing);
    const auto next =
        answer_at_last([&] { return append("one-1", expected::any(), events_of(120, 1)); });
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_EQ(next->last_revisions.front(), base::revision{4});
    reopen();
    EXPECT_EQ(open_->stream_head("one-1").value(), base::revision{4});
}

class distrusted_index_test : public log_fixture {
protected:
    void SetUp() override {
        settings.index = {.folder = index_folder, .part_events_max = 8, .place_spacing = 8};
    }
    void make() {
        index_.reset();
        index_ = make_disk_index(settings.index, disk, nullptr);
        ASSERT_TRUE(index_->open({id_of(1), 1}));
    }
    base::status rest() { return index_->rest_at({{at_}, {}, at_, {at_ - 36}, {}}); }
    // A part of its own.
    base::status add() {
        const std::string name = "s-" + std::to_string(at_);
        for (std::uint64_t i = 0; i < 8; ++i, at_ += 100) {
            const index_entry entry{name, "X", {}, {i}, {at_ + 64}};
            index_->add({at_}, std::span(&entry, 1));
        }
        index_->made_durable({at_});
        return rest();
    }
    void expect_no_answer() {
        const auto found = index_->last_revision("s-256", {at_});
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().reason, "index_damaged");
        EXPECT_GT(found.error().retry_after_ms, 0U);
    }

    std::unique_ptr<log_index> index_;
    std::uint64_t at_ = 256;
};

TEST_F(distrusted_index_test, answers_nothing_after_a_restart_until_it_is_made_anew) {
    make();
    ASSERT_TRUE(add());
    make();
    EXPECT_EQ(index_->last_revision("s-256", {at_}).value(), base::revision{7});
    index_->distrust("a test");
    expect_no_answer();
    disk.lose_power_now();
    index_.reset();
    disk.restart(base::cut_policy::drop_all);
    make();
    expect_no_answer();
    make();
    expect_no_answer();
    ASSERT_TRUE(index_->discard());
    make();
    EXPECT_FALSE(index_->last_revision("s-256", {at_}).value()) << "a new one is believed";
}

TEST_F(distrusted_index_test, answers_nothing_after_it_was_opened_anew_for_a_failed_write) {
    settings.index.tail_bytes_max = 1;
    settings.index.retry_pause = std::chrono::milliseconds(1);
    make();
    ASSERT_TRUE(add());
    make();
    disk.fail_all(base::memory_file_system::step_kind::write);
    ASSERT_TRUE(add());
    EXPECT_FALSE(add()) << "the part before was not written";
    index_->distrust("a test");
    static_cast<void>(disk.remove(index_folder + std::string("/distrusted"))); // as if not written
    const std::uint64_t opens = disk.opens();
    disk.fail_all(std::nullopt);
    EXPECT_TRUE(base::comes_true([&] { return rest() || disk.opens() >= opens + 30; }))
        << "it is opened anew, and takes the part or not";
    expect_no_answer();
}

} // namespace
} // namespace immortal::eventlog
