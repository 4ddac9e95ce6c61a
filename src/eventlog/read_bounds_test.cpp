// A bounded read comes back after it looked at so much, whether or not it found something.
#include "eventlog/scavenge_fixture.hpp"

namespace immortal::eventlog {
namespace {

using expected = expected_revision;

// Goes on by a millisecond whenever somebody looks.
class counting_clock final : public base::clock {
public:
    [[nodiscard]] base::utc_time now() const override { return inner_.now(); }
    [[nodiscard]] base::steady_time steady_now() const override {
        ++looks_;
        inner_.advance(std::chrono::milliseconds(1));
        return inner_.steady_now();
    }
    [[nodiscard]] std::uint64_t looks() const { return looks_; }

private:
    mutable base::manual_clock inner_{base::utc_time(std::chrono::hours(24 * 365 * 50))};
    mutable std::atomic<std::uint64_t> looks_{0};
};

class read_bounds_test : public scavenge_fixture {
protected:
    static constexpr std::size_t removed = 60;

    // So many removed events between a few that are there.
    void make_holes() {
        write("s-1", removed);
        write("other-1", 30); // the segment that is written now is never scavenged
        set_metadata("s-1", R"({"$tb":)" + std::to_string(removed - 1) + "}");
        ASSERT_EQ(scavenge().state, scavenge_state::completed);
        set_metadata("s-1", "{}"); // what is gone is looked for again
    }
    template <typename Slice>
    void expect_bounded(std::uint64_t begin, std::uint64_t bound, Slice next_slice) {
        std::size_t slices = 0;
        for (bool end = false; !end; ++slices) {
            std::uint64_t next = begin;
            end = next_slice(begin, next);
            if (!end) {
                const std::uint64_t looked = next > begin ? next - begin : begin - next;
                EXPECT_LE(looked, bound);
                ASSERT_GT(looked, 0u);
                begin = next;
            }
        }
        EXPECT_GE(slices, removed / bound - 1);
    }
};

TEST_F(read_bounds_test, a_stream_is_read_in_slices_of_records) {
    make_holes();
    const read_bounds bounds{.records = 8};
    std::vector<recorded_event> seen;
    expect_bounded(0, 8, [&](std::uint64_t from, std::uint64_t& next) {
        const auto slice = open_->read_stream("s-1", {from}, direction::forwards, 100, bounds);
        seen.insert(seen.end(), slice->events.begin(), slice->events.end());
        next = slice->next.value;
        return slice->end;
    });
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].revision.value, removed - 1);
    // Groups that are read backwards double, and are read whole.
    expect_bounded(removed - 1, 16, [&](std::uint64_t from, std::uint64_t& next) {
        const auto slice = open_->read_stream("s-1", {from}, direction::backwards, 100, bounds);
        next = slice->next.value;
        return slice->end;
    });
}

TEST_F(read_bounds_test, a_view_is_read_in_slices_of_records) {
    make_holes();
    const read_bounds bounds{.records = 8};
    for (const direction way : {direction::forwards, direction::backwards}) {
        std::uint64_t found = 0;
        const bool back = way == direction::backwards;
        expect_bounded(
            back ? removed + 29 : 0, back ? 16 : 8, [&](std::uint64_t from, std::uint64_t& next) {
                const auto slice =
                    open_->read_view(index_view::type, "Happened", from, way, 100, bounds);
                found += slice->entries.size();
                next = slice->next;
                return slice->end;
            });
        EXPECT_EQ(found, 31u);
    }
}

// Whatever the filter wants, and whether or not the events are still there.
TEST_F(read_bounds_test, everything_is_read_in_slices_of_records) {
    make_holes();
    const record_filter nothing = [](const record_view&) { return false; };
    base::position begin{0};
    std::size_t looked = 0;
    for (bool end = false; !end;) {
        const auto slice = open_->read_all(begin, direction::forwards, 100, nothing, 1u << 20u,
                                           read_start::anywhere, 8);
        ASSERT_TRUE(slice);
        EXPECT_LE(slice->considered, 8u);
        ASSERT_TRUE(slice->end || slice->next > begin);
        looked += slice->considered;
        begin = slice->next;
        end = slice->end;
    }
    EXPECT_GE(looked, removed + 30);
}

TEST_F(read_bounds_test, a_slice_ends_after_so_many_bytes) {
    write("s-1", 40, 500);
    const read_bounds bounds{.bytes = 2000};
    const auto slice = open_->read_stream("s-1", {0}, direction::forwards, 100, bounds);
    EXPECT_FALSE(slice->end);
    EXPECT_GE(slice->events.size(), 2u);
    EXPECT_LE(slice->events.size(), 4u);
    EXPECT_EQ(slice->next.value, slice->events.size());
    const auto back = open_->read_stream("s-1", {39}, direction::backwards, 100, bounds);
    EXPECT_FALSE(back->end);
    EXPECT_LE(back->events.size(), 4u);
    EXPECT_EQ(back->next.value, 39 - back->events.size());
    const auto view =
        open_->read_view(index_view::category, "s", 0, direction::forwards, 100, bounds);
    EXPECT_FALSE(view->end);
    EXPECT_LE(view->entries.size(), 4u);
}

TEST_F(read_bounds_test, a_slow_disk_ends_a_slice_early) {
    make_holes();
    open_.reset();
    counting_clock slow;
    auto opened = log::open(settings, disk, slow, random, nullptr);
    ASSERT_TRUE(opened) << opened.error().message;
    const read_bounds bounds{.time = std::chrono::milliseconds(5)};
    std::uint64_t from = 0;
    std::size_t slices = 0;
    for (bool end = false; !end; ++slices) {
        const std::uint64_t before = slow.looks();
        const auto slice = (*opened)->read_view(index_view::type, "Happened", from,
                                                direction::forwards, 100, bounds);
        ASSERT_TRUE(slice);
        // One look when it begins, one after each read of the file until the time is up.
        EXPECT_LE(slow.looks() - before, 6u);
        from = slice->next;
        end = slice->end;
    }
    EXPECT_GE(slices, 2u);
}

TEST_F(read_bounds_test, without_bounds_a_read_goes_to_the_end) {
    make_holes();
    const auto slice = open_->read_stream("s-1", {0}, direction::forwards, 1);
    ASSERT_EQ(slice->events.size(), 1u);
    EXPECT_EQ(slice->events[0].revision.value, removed - 1);
    EXPECT_TRUE(slice->end);
}

} // namespace
} // namespace immortal::eventlog
