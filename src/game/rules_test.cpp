#include "game/context.hpp"
#include "game/rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

namespace immortal::game {
namespace {

TEST(rules, amounts_stop_at_the_largest_exact_number) {
    EXPECT_EQ(add_capped(amount_max, 0), amount_max);
    EXPECT_EQ(add_capped(amount_max, amount_max), amount_max);
    EXPECT_EQ(add_capped(amount_max - 1, 1), amount_max);
    EXPECT_EQ(percent_of(amount_max, 200), amount_max);
    EXPECT_EQ(percent_of(amount_max, 100), amount_max);
    EXPECT_EQ(percent_of(199, 50), 99);
}

TEST(rules, game_time_runs_at_the_scale) {
    const base::utc_time t{};
    EXPECT_EQ(game_seconds(1, t, t + std::chrono::milliseconds(1999)), 1);
    EXPECT_EQ(game_seconds(3600, t, t + std::chrono::seconds(1)), 3600);
    EXPECT_EQ(game_seconds(0.001, t, t + std::chrono::seconds(999)), 0);
    EXPECT_EQ(game_seconds(1, t + std::chrono::seconds(1), t), 0);
    EXPECT_EQ(real_time(3600, 3600), std::chrono::seconds(1));
    EXPECT_EQ(real_time(7, 1), std::chrono::milliseconds(143));
}

TEST(rules, what_real_time_says_is_enough_and_no_more) {
    for (const double scale : {0.001, 0.1, 1.0, 3.0, 60.0, 3600.0, 99'999.9, 1e6}) {
        for (const std::int64_t seconds : {1, 59, 360, 3600, 86'400, 259'200}) {
            const base::utc_time t = *base::parse_iso("2030-06-01T00:00:00.123Z");
            const auto needed = real_time(scale, seconds);
            EXPECT_GE(game_seconds(scale, t, t + needed), seconds) << scale;
            EXPECT_LT(game_seconds(scale, t, t + needed - std::chrono::milliseconds(1)), seconds)
                << scale;
        }
    }
}

TEST(rules, double_hours) {
    const auto at = [](const char* text) { return *base::parse_iso(text); };
    EXPECT_EQ(hour_name(at("2026-01-01T23:00:00Z")), "子时");
    EXPECT_EQ(hour_name(at("2026-01-01T00:59:59Z")), "子时");
    EXPECT_EQ(hour_name(at("2026-01-01T01:00:00Z")), "丑时");
    EXPECT_EQ(hour_name(at("2026-01-01T12:30:00Z")), "午时");
    EXPECT_EQ(hour_name(at("2026-01-01T22:59:59.999Z")), "亥时");
    EXPECT_EQ(time_bonus_percent(at("2026-01-01T23:30:00Z")), 120);
}

TEST(rules, dice_are_fair_and_repeatable) {
    dice a(7);
    dice b(7);
    std::array<int, 100> counts{};
    for (int i = 0; i < 100'000; ++i) {
        const auto roll = a.roll(100);
        ASSERT_EQ(roll, b.roll(100));
        ++counts[static_cast<std::size_t>(roll)];
    }
    for (const int count : counts) {
        EXPECT_NEAR(count, 1000, 200); // more than six sigma
    }
    EXPECT_EQ(dice(1).roll(1), 0);
    EXPECT_FALSE(dice(1).chance(0));
    EXPECT_TRUE(dice(1).chance(100));
    // Part of the recorded past: these throws never change.
    dice fixed(42);
    EXPECT_EQ(fixed.roll(1000), 741);
    EXPECT_EQ(fixed.roll(1000), 159);
}

// --- docs/rules.md says the same as the program ---

std::string read_doc() {
    std::ifstream in(IMMORTAL_RULES_DOC);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

// The rows "| name | number ..." of the tables in the document.
std::map<std::string, std::string> table_rows(const std::string& doc) {
    std::map<std::string, std::string> out;
    std::istringstream lines(doc);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("| ")) {
            continue;
        }
        const auto end = line.find(" | ");
        if (end != std::string::npos) {
            out[line.substr(2, end - 2)] = line.substr(end + 3);
        }
    }
    return out;
}

TEST(rules_doc, states_the_constants) {
    const auto rows = table_rows(read_doc());
    const rules numbers;
    const auto expect = [&](const std::string& name, std::int64_t value) {
        const auto found = rows.find("`" + name + "`");
        ASSERT_NE(found, rows.end()) << name;
        EXPECT_TRUE(found->second.starts_with(std::to_string(value) + " |"))
            << name << ": " << found->second;
    };
    expect("initial_energy", numbers.initial_energy);
    expect("initial_attribute", numbers.initial_attribute);
    expect("initial_gold", numbers.initial_gold);
    expect("initial_spirit_stones", numbers.initial_spirit_stones);
    expect("regeneration_seconds", numbers.regeneration_seconds);
    expect("rest_energy", numbers.rest_energy);
    expect("rest_cooldown_seconds", numbers.rest_cooldown_seconds);
    expect("proficiency_per_hour", numbers.proficiency_per_hour);
    expect("proficiency_level_max", numbers.proficiency_level_max);
    expect("proficiency_bonus_percent", numbers.proficiency_bonus_percent);
    expect("unattended_seconds", numbers.unattended_seconds);
    expect("insight_chance_percent", numbers.insight_chance_percent);
    expect("insights_max", numbers.insights_max);
    expect("insight_bonus_percent", numbers.insight_bonus_percent);
    expect("breakthrough_mercy_percent", numbers.breakthrough_mercy_percent);
    expect("breakthrough_chance_max", numbers.breakthrough_chance_max);
    expect("backlash_energy_percent", numbers.backlash_energy_percent);
}

TEST(rules_doc, states_realms_weather_and_hours) {
    const auto rows = table_rows(read_doc());
    const catalog& data = catalog::builtin();
    for (const realm& r : data.realms()) {
        const auto found = rows.find(r.name.zh);
        ASSERT_NE(found, rows.end()) << r.name.zh;
        const std::string start =
            r.name.en + " | " + std::to_string(r.first_level) + "–" + std::to_string(r.last_level) +
            " | " + std::to_string(r.experience_factor) + " | " +
            std::to_string(data.experience_at(r.first_level)) + " | " +
            (r.breakthrough ? std::to_string(r.breakthrough->chance_percent) + " | " +
                                  std::to_string(r.breakthrough->proficiency_requirement) + " | " +
                                  std::to_string(r.breakthrough->spirit_stones_reward)
                            : "– | – | –");
        EXPECT_THAT(found->second, testing::StartsWith(start)) << r.name.zh;
    }
    for (std::int64_t die = 0; die < 100; ++die) {
        const weather what = weather_of(die);
        const std::string name = boost::describe::enum_to_string(what, "?");
        ASSERT_TRUE(rows.contains(name)) << name;
        EXPECT_THAT(rows.at(name),
                    testing::HasSubstr("| " + std::to_string(weather_bonus_percent(what)) + " |"));
    }
    for (int hour = 0; hour < 24; ++hour) {
        const base::utc_time at = base::utc_time{} + std::chrono::hours(hour);
        const std::string name(hour_name(at));
        ASSERT_TRUE(rows.contains(name)) << name;
        EXPECT_THAT(rows.at(name),
                    testing::HasSubstr("| " + std::to_string(time_bonus_percent(at)) + " |"));
    }
}

} // namespace
} // namespace immortal::game
