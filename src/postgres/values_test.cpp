#include "postgres/database.hpp"
#include "postgres/sqlstate.hpp"
#include "postgres/text_format.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace immortal::postgres {

using base::errc;

namespace {

std::string only(const arguments& a) {
    return a.values().back().value_or("NULL");
}

base::utc_time at(std::int64_t microseconds) {
    return base::utc_time(std::chrono::microseconds(microseconds));
}

TEST(arguments, write_the_text_format) {
    EXPECT_EQ(only(arguments().add("道")), "道");
    EXPECT_EQ(only(arguments().add(std::numeric_limits<std::int64_t>::min())),
              "-9223372036854775808");
    EXPECT_EQ(only(arguments().add(std::uint32_t{7})), "7");
    EXPECT_EQ(only(arguments().add(0.1)), "0.1");
    EXPECT_EQ(only(arguments().add(-std::numeric_limits<double>::infinity())), "-Infinity");
    EXPECT_EQ(only(arguments().add(true)), "t");
    EXPECT_EQ(only(arguments().add(std::optional<std::string>())), "NULL");
    EXPECT_EQ(only(arguments().add(at(0))), "1970-01-01 00:00:00.000000+00");
}

TEST(arguments, write_arrays) {
    EXPECT_EQ(only(arguments().add_array(std::vector<std::int64_t>{})), "{}");
    EXPECT_EQ(only(arguments().add_array(std::vector<int>{1, -2})), "{1,-2}");
    EXPECT_EQ(only(arguments().add_array(std::vector<bool>{true, false})), "{t,f}");
    EXPECT_EQ(only(arguments().add_array(std::vector<std::string>{"a\"b", "c\\d", "", "NULL"})),
              R"({"a\"b","c\\d","","NULL"})");
    EXPECT_EQ(
        only(arguments().add_array(std::vector<std::optional<std::string>>{std::nullopt, "x"})),
        R"({NULL,"x"})");
}

TEST(arguments, notice_nul_bytes) {
    EXPECT_FALSE(arguments().add("a").has_nul_byte());
    EXPECT_TRUE(arguments().add(std::string("a\0b", 3)).has_nul_byte());
    EXPECT_TRUE(
        arguments().add_array(std::vector<std::string>{std::string(1, '\0')}).has_nul_byte());
}

TEST(text_format, times_read_back) {
    for (const std::int64_t us :
         {0LL, 1LL, -1LL, 1'700'000'000'123'456LL, -62'135'596'800'000'001LL}) {
        EXPECT_EQ(parse_timestamp(timestamp_text(at(us))), at(us)) << timestamp_text(at(us));
    }
    EXPECT_EQ(parse_timestamp("2026-11-22 21:50:00+00"),
              parse_timestamp("2026-11-22 21:50:00.0+00"));
    for (const auto* bad : {"", "infinity", "2026-11-22", "2026-02-30 00:00:00+00",
                            "2026-11-22 21:50:00+08", "2026-11-22 21:50:00.1234567+00"}) {
        EXPECT_FALSE(parse_timestamp(bad)) << bad;
    }
}

TEST(sqlstate, has_one_meaning_each) {
    const auto code = [](const char* state) { return to_error({state, "", "", false}).code; };
    EXPECT_EQ(to_error({"23505", "users_name_key", "", false}).reason, "users_name_key");
    EXPECT_EQ(code("23505"), errc::already_exists);
    EXPECT_EQ(code("23503"), errc::not_found);
    EXPECT_EQ(code("22P02"), errc::invalid_argument);
    EXPECT_EQ(code("23514"), errc::invalid_argument);
    EXPECT_EQ(code("40001"), errc::conflict);
    EXPECT_EQ(code("40P01"), errc::conflict);
    EXPECT_EQ(code("IM001"), errc::conflict);
    EXPECT_EQ(code("57014"), errc::timeout);
    EXPECT_EQ(code("57P01"), errc::unavailable);
    EXPECT_EQ(code("53300"), errc::unavailable);
    EXPECT_EQ(code("42601"), errc::internal);
    EXPECT_EQ(code("42501"), errc::unavailable);
    EXPECT_EQ(to_error({"3F000", "", "", false}).reason, missing_right);
    EXPECT_EQ(code(""), errc::unavailable);
}

TEST(sqlstate, messages_carry_nothing_of_the_server) {
    for (const auto* state : {"23505", "42601", "XX000"}) {
        const auto e = to_error({state, "c", "relation \"secret_table\"", false});
        EXPECT_EQ(e.message.find("secret"), std::string::npos);
    }
}

} // namespace
} // namespace immortal::postgres
