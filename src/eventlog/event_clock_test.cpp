// Jumps of the machine's clock, and what events are stamped with.
#include "base/metrics.hpp"
#include "eventlog/event_clock.hpp"
#include "eventlog/log_fixture.hpp"

namespace immortal::eventlog {
namespace {

using expected = expected_revision;
using namespace std::chrono_literals;

constexpr base::utc_time noon{std::chrono::hours(24 * 365 * 50 + 12)};
constexpr auto years = std::chrono::hours(24 * 365 * 14);

class event_clock_test : public testing::Test {
protected:
    void jump(std::chrono::microseconds by) { machine.set(machine.now() + by); }
    [[nodiscard]] double told() {
        const std::string name = "\nimmortal_eventlog_clock_jump_seconds ";
        const std::string text = "\n" + metrics.text();
        const auto at = text.find(name);
        return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size()));
    }
    base::manual_clock machine{noon};
    base::metrics metrics;
    event_clock clock{machine, 60s, 10min, &metrics};
};

TEST_F(event_clock_test, follows_the_machine_and_its_small_steps) {
    machine.advance(1h);
    EXPECT_EQ(clock.now(), noon + 1h);
    jump(59s);
    EXPECT_EQ(clock.now(), noon + 1h + 59s);
    jump(-59s);
    EXPECT_EQ(clock.now(), noon + 1h);
    EXPECT_EQ(told(), 0);
}

TEST_F(event_clock_test, does_not_believe_a_jump_that_goes_away_again) {
    for (const auto by : {std::chrono::microseconds(years), -std::chrono::microseconds(years)}) {
        const auto before = clock.now();
        jump(by);
        EXPECT_EQ(clock.now(), before);
        EXPECT_EQ(told(), std::chrono::duration<double>(by).count());
        machine.advance(5min);
        EXPECT_EQ(clock.now(), before + 5min);
        jump(-by);
        EXPECT_EQ(clock.now(), before + 5min);
        EXPECT_EQ(told(), 0);
        machine.advance(1h);
        EXPECT_EQ(clock.now(), before + 5min + 1h);
    }
}

TEST_F(event_clock_test, believes_a_jump_that_lasts) {
    jump(8h); // a machine that was suspended
    EXPECT_EQ(clock.now(), noon);
    machine.advance(10min - 1s);
    EXPECT_EQ(clock.now(), noon + 10min - 1s);
    machine.advance(1s);
    EXPECT_EQ(clock.now(), noon + 8h + 10min);
    EXPECT_EQ(told(), 0);
    machine.advance(1s);
    EXPECT_EQ(clock.now(), noon + 8h + 10min + 1s);
}

TEST_F(event_clock_test, another_jump_begins_the_wait_anew) {
    jump(8h);
    (void)clock.now();
    machine.advance(9min);
    jump(2h);
    EXPECT_EQ(clock.now(), noon + 9min);
    machine.advance(9min);
    EXPECT_EQ(clock.now(), noon + 18min);
    machine.advance(1min);
    EXPECT_EQ(clock.now(), noon + 10h + 19min);
}

TEST_F(event_clock_test, can_be_told_to_believe_everything) {
    event_clock trusting(machine, 0s, 10min, nullptr);
    jump(years);
    EXPECT_EQ(trusting.now(), noon + years);
}

class jumping_log_test : public log_fixture {
protected:
    void SetUp() override { reopen(); }
    base::utc_time write(std::uint64_t number) {
        EXPECT_TRUE(append("s-1", expected::any(), events_of(number, 1)));
        return everything().back().created;
    }
};

TEST_F(jumping_log_test, a_wrong_clock_that_is_set_right_leaves_no_trace) {
    const auto begin = write(1);
    clock.set(begin + years);
    EXPECT_EQ(write(2), begin);
    clock.advance(1min);
    EXPECT_EQ(write(3), begin + 1min);
    clock.set(begin + 1min + 10s); // the real time, near enough
    EXPECT_EQ(write(4), begin + 1min + 10s);
    reopen();
    clock.advance(1min);
    EXPECT_EQ(write(5), begin + 2min + 10s);
}

// Readers and scavenges measure ages by the same clock as the stamps.
TEST_F(jumping_log_test, a_jump_hides_nothing_that_max_age_shows) {
    new_event metadata = event_of(100);
    metadata.type = "$metadata";
    metadata.data = R"({"$maxAge":3600})";
    ASSERT_TRUE(append("$$s-1", expected::any(), {metadata}));
    const auto begin = write(1);
    clock.set(begin + years);
    EXPECT_EQ(stream("s-1").size(), 1u);
    clock.advance(settings.clock_jump_hold / 2);
    EXPECT_EQ(stream("s-1").size(), 1u);
    clock.set(begin + settings.clock_jump_hold / 2);
    EXPECT_EQ(stream("s-1").size(), 1u);
    clock.advance(1h);
    EXPECT_EQ(stream("s-1").size(), 0u);
}

TEST_F(jumping_log_test, times_never_decrease_after_a_jump_that_was_believed) {
    const auto begin = write(1);
    clock.set(begin + years);
    write(2);
    clock.advance(settings.clock_jump_hold);
    const auto believed = write(3);
    EXPECT_EQ(believed, begin + years + settings.clock_jump_hold);
    clock.set(begin + 1h);
    EXPECT_EQ(write(4), believed);
    clock.advance(settings.clock_jump_hold);
    EXPECT_EQ(write(5), believed);
    reopen();
    EXPECT_EQ(write(6), believed);
}

} // namespace
} // namespace immortal::eventlog
