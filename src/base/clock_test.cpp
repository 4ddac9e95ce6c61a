#include "base/clock.hpp"

#include <gtest/gtest.h>

namespace immortal::base {
namespace {

using namespace std::chrono_literals;

TEST(iso_text, round_trips_milliseconds) {
    const auto time = parse_iso("2026-02-28T23:59:59.987Z");
    ASSERT_TRUE(time);
    EXPECT_EQ(iso_text(*time), "2026-02-28T23:59:59.987Z");
    EXPECT_EQ(iso_text(*time + 13ms), "2026-03-01T00:00:00.000Z");
}

TEST(iso_text, times_before_1970_round_down) {
    EXPECT_EQ(iso_text(utc_time(-1us)), "1969-12-31T23:59:59.999Z");
}

TEST(parse_iso, refuses_what_is_not_a_utc_time) {
    for (const char* text :
         {"", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
          "2026-01-01T00:00:00+00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00.Z",
          "2026-01-01T00:00:00.1234567Z", "x"}) {
        EXPECT_FALSE(parse_iso(text)) << text;
    }
}

TEST(manual_clock, wall_and_steady_time_are_apart) {
    manual_clock clock(utc_time(0us));
    const auto before = clock.steady_now();
    clock.set(utc_time(-5s));
    EXPECT_EQ(clock.steady_now(), before);
    clock.advance(2s);
    EXPECT_EQ(clock.steady_now() - before, 2s);
    EXPECT_EQ(clock.now(), utc_time(-3s));
}

} // namespace
} // namespace immortal::base
