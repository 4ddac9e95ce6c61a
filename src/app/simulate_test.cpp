#include "app/http_client.hpp"
#include "app/latency_histogram.hpp"
#include "app/simulate_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace immortal::app {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(LatencyHistogramTest, quantiles_are_within_four_percent) {
    latency_histogram all;
    for (int us = 1; us <= 100'000; ++us)
        all.record(microseconds(us));
    EXPECT_EQ(all.count(), 100'000U);
    EXPECT_NEAR(all.quantile_ms(0.50), 50, 2);
    EXPECT_NEAR(all.quantile_ms(0.99), 99, 4);
    EXPECT_GE(all.quantile_ms(1.0), 100);
}

TEST(LatencyHistogramTest, every_duration_has_a_bucket_that_holds_it) {
    for (std::int64_t us = 0; us < (std::int64_t{1} << 40); us = us * 9 / 8 + 1) {
        latency_histogram one;
        one.record(microseconds(us));
        const double ms = static_cast<double>(us) / 1000;
        EXPECT_GE(one.quantile_ms(0.5), ms * 0.9999);
        EXPECT_LE(one.quantile_ms(0.5), ms * 1.04 + 0.001);
    }
}

TEST(LatencyHistogramTest, merging_adds) {
    latency_histogram a;
    latency_histogram b;
    a.record(milliseconds(1));
    b.record(milliseconds(100));
    a.merge(b);
    EXPECT_EQ(a.count(), 2U);
    EXPECT_GT(a.quantile_ms(0.99), 99);
    EXPECT_EQ(latency_histogram{}.quantile_ms(0.99), 0);
}

TEST(HttpUrlTest, takes_host_and_port_only) {
    EXPECT_EQ(parse_http_url("http://localhost:8080/")->port, "8080");
    EXPECT_EQ(parse_http_url("http://[::1]:81")->host, "::1");
    EXPECT_EQ(parse_http_url("http://example.org")->port, "80");
    for (const char* bad : {"", "localhost:1", "https://x:1", "http://", "http://x:0", "http://x:y",
                            "http://x:1/path", "http://u@x:1", "http://x:99999"})
        EXPECT_FALSE(parse_http_url(bad)) << bad;
}

TEST(HitRateTest, is_what_was_read_between_two_moments) {
    const std::string before = "# HELP immortal_cache_reads_total Reads\n"
                               "immortal_cache_reads_total{class=\"player\",from=\"local\"} 100\n"
                               "immortal_cache_reads_total{class=\"player\",from=\"load\"} 100\n";
    const std::string after = "immortal_cache_reads_total{class=\"player\",from=\"local\"} 190\n"
                              "immortal_cache_reads_total{class=\"player\",from=\"redis\"} 5\n"
                              "immortal_cache_reads_total{class=\"player\",from=\"load\"} 105\n"
                              "immortal_cache_reads_total_other 7\n";
    EXPECT_NEAR(hit_rate_between(before, after).value(), 0.95, 1e-9);
    EXPECT_FALSE(hit_rate_between("", "").has_value());
    EXPECT_FALSE(hit_rate_between(after, after).has_value());
}

simulate_result good_result() {
    simulate_result r{.players = 200, .connections = 1, .seconds = 1, .accepted = 2000};
    r.queries.record(milliseconds(5));
    r.delays.record(milliseconds(5));
    r.hit_rate = 0.95;
    r.check_passed = true;
    return r;
}

TEST(SimulateResultTest, passes_only_when_every_floor_holds) {
    EXPECT_TRUE(good_result().passed());
    EXPECT_THAT(report_table(good_result()), testing::Not(HasSubstr("FAIL")));
    std::vector<simulate_result> bad(7, good_result());
    bad[0].accepted = 900;
    bad[1].queries.record(milliseconds(200));
    bad[2].delays.record(milliseconds(2000));
    bad[3].hit_rate = 0.8;
    bad[4].hit_rate.reset();
    bad[5].check_passed.reset();
    bad[6].failed = 1;
    for (const simulate_result& r : bad) {
        EXPECT_FALSE(r.passed());
        EXPECT_THAT(report_table(r), HasSubstr("FAIL"));
        EXPECT_THAT(report_json(r), HasSubstr("\"passed\":false"));
    }
}

// A player gives a few commands a second, whatever the server could do.
TEST(SimulateResultTest, few_players_are_judged_by_what_each_can_do) {
    simulate_result r = good_result();
    r.players = 20;
    r.accepted = 150;
    EXPECT_TRUE(r.passed());
    EXPECT_THAT(report_table(r), HasSubstr("> 100 /s"));
    EXPECT_THAT(report_table(r), HasSubstr("200 players or more"));
    EXPECT_THAT(report_json(r), HasSubstr("\"commandsPerSecondFloor\":"));
    r.accepted = 90;
    EXPECT_FALSE(r.passed());
    r.players = 1000;
    EXPECT_EQ(r.commands_per_second_min(), commands_floor);
    EXPECT_THAT(report_table(r), HasSubstr("> 1000 /s"));
    EXPECT_THAT(report_table(r), testing::Not(HasSubstr("players or more")));
}

} // namespace
} // namespace immortal::app
