#include "app/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace immortal::app {
namespace {

constexpr const char* sample_path = IMMORTAL_SOURCE_DIR "/config/immortal.toml";

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
}

// IMMORTAL_TEST_UPDATE=1 writes the file instead.
TEST(SettingsTest, sample_file_is_the_registrys) {
    if (std::getenv("IMMORTAL_TEST_UPDATE") != nullptr)
        std::ofstream(sample_path) << settings_registry().sample_file();
    EXPECT_EQ(content_of(sample_path), settings_registry().sample_file())
        << "run app_test once with IMMORTAL_TEST_UPDATE=1";
}

TEST(SettingsTest, sample_file_loads_and_changes_nothing) {
    const auto config = load_config(sample_path, {});
    ASSERT_TRUE(config) << config.error().message;
    for (const base::config_key& key : settings_registry().keys())
        EXPECT_TRUE(config->is_default(key.name)) << key.name;
}

TEST(SettingsTest, every_value_reaches_its_struct) {
    const auto config = load_config(std::nullopt, {{"--http-port", "http.port", "9090"},
                                                   {"--data", "server.data", "/somewhere"},
                                                   {"--time-scale", "game.time_scale", "3600"},
                                                   {"--log-level", "log.level", "warning"}});
    ASSERT_TRUE(config) << config.error().message;
    const settings read = read_settings(*config);
    EXPECT_EQ(read.http.port, 9090);
    EXPECT_EQ(read.server.data, "/somewhere");
    EXPECT_GE(read.server.threads, 1U);
    EXPECT_DOUBLE_EQ(read.time_scale, 3600.0);
    EXPECT_EQ(read.log_level, base::log_level::warning);
    EXPECT_EQ(read.event_log.segment_bytes, 268'435'456U);
    EXPECT_EQ(read.accounts.session_idle, std::chrono::minutes(30));
}

TEST(SettingsTest, bad_flag_is_a_sentence) {
    const auto config = load_config(std::nullopt, {{"--http-port", "http.port", "ninety"}});
    ASSERT_FALSE(config);
    EXPECT_THAT(config.error().message,
                testing::HasSubstr("--http-port: http.port must be a whole number"));
}

} // namespace
} // namespace immortal::app
