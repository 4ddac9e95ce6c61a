#include "eventstore/batch_collector.hpp"

#include <gtest/gtest.h>

namespace immortal::eventstore {
namespace {

const base::uuid one = *base::uuid::parse("00000000-0000-0000-0000-000000000001");
const base::uuid two = *base::uuid::parse("00000000-0000-0000-0000-000000000002");

recorded_event event_at(std::uint64_t position) {
    recorded_event out;
    out.position = {position};
    return out;
}

// "1 2.": positions, with a dot after those that are last in their append.
std::string text(const std::vector<recorded_event>& events) {
    std::string out;
    for (const recorded_event& event : events) {
        out += std::to_string(event.position.value) + (event.last_in_batch ? ". " : " ");
    }
    return out;
}

TEST(batch_collector, gives_whole_appends) {
    batch_collector collector;
    EXPECT_EQ(text(collector.add(event_at(1), std::nullopt)), "1. ");
    EXPECT_EQ(text(collector.add(event_at(2), batch_place{0, 3, one})), "");
    EXPECT_EQ(text(collector.add(event_at(3), batch_place{2, 3, one})), "");
    EXPECT_TRUE(collector.waiting());
    EXPECT_EQ(text(collector.add(event_at(4), batch_place{1, 3, one})), "2 3 4. ");
    EXPECT_FALSE(collector.waiting());
}

TEST(batch_collector, an_append_of_which_a_filter_hides_a_part_ends_with_the_next_one) {
    batch_collector collector;
    EXPECT_EQ(text(collector.add(event_at(1), batch_place{0, 3, one})), "");
    EXPECT_EQ(text(collector.add(event_at(5), batch_place{1, 2, two})), "1. ");
    EXPECT_EQ(text(collector.add(event_at(6), std::nullopt)), "5. 6. ");
    EXPECT_EQ(text(collector.add(event_at(7), batch_place{0, 2, one})), "");
    EXPECT_EQ(text(collector.flush()), "7. ");
    EXPECT_EQ(text(collector.flush()), "");
}

} // namespace
} // namespace immortal::eventstore
