#include "base/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace immortal::base {
namespace {

using testing::HasSubstr;
using testing::Not;

config_registry sample_registry() {
    config_registry registry;
    registry.describe_section("http", "The HTTP interface.")
        .add({.name = "http.address", .fallback = std::string("127.0.0.1"), .doc = "Address."})
        .add({.name = "http.port",
              .fallback = std::int64_t{8080},
              .doc = "Port.",
              .minimum = 0,
              .maximum = 65535})
        .add({.name = "http.keep_alive", .fallback = true, .doc = "Reuse connections."})
        .add({.name = "game.time_scale",
              .fallback = 1.0,
              .doc = "Speed.",
              .minimum = 0.1,
              .maximum = 1e6})
        .add({.name = "log.level",
              .fallback = std::string("info"),
              .doc = "How much.",
              .allowed = {"debug", "info"}})
        .add({.name = "postgres.uri", .fallback = std::string(), .doc = "Where.", .secret = true})
        .ignore_environment("IMMORTAL_TEST_");
    return registry;
}

struct ConfigTest : testing::Test {
    const config_registry registry = sample_registry();
    config settings{registry};

    static std::string message(const status& outcome) {
        EXPECT_FALSE(outcome.has_value());
        return outcome ? "" : outcome.error().message;
    }
};

TEST_F(ConfigTest, has_defaults) {
    EXPECT_EQ(settings.integer("http.port"), 8080);
    EXPECT_EQ(settings.text("log.level"), "info");
    EXPECT_TRUE(settings.boolean("http.keep_alive"));
    EXPECT_DOUBLE_EQ(settings.number("game.time_scale"), 1.0);
    EXPECT_EQ(settings.source_of("http.port"), "default");
}

TEST_F(ConfigTest, stronger_layer_wins_in_any_order) {
    ASSERT_TRUE(settings.set_flag("--http-port", "http.port", "4"));
    ASSERT_TRUE(
        settings.load_environment({{"IMMORTAL_HTTP_PORT", "3"}, {"IMMORTAL_LOG_LEVEL", "debug"}}));
    ASSERT_TRUE(settings.load_toml("[http]\nport = 2\naddress = \"::1\"\n[log]\nlevel = \"info\"",
                                   "f.toml"));
    EXPECT_EQ(settings.integer("http.port"), 4);
    EXPECT_EQ(settings.source_of("http.port"), "--http-port");
    EXPECT_EQ(settings.text("log.level"), "debug");
    EXPECT_EQ(settings.source_of("log.level"), "IMMORTAL_LOG_LEVEL");
    EXPECT_EQ(settings.text("http.address"), "::1");
    EXPECT_EQ(settings.source_of("http.address"), "f.toml:3");
}

TEST_F(ConfigTest, unknown_key_is_refused_with_the_nearest) {
    EXPECT_EQ(message(settings.load_toml("\n[http]\nprot = 1", "f.toml")),
              "f.toml:3: unknown key \"http.prot\"; did you mean \"http.port\"?");
    EXPECT_THAT(message(settings.load_toml("level = \"info\"", "f.toml")),
                HasSubstr("\"log.level\""));
    EXPECT_THAT(message(settings.load_toml("[htpp]\nport = 1", "f.toml")),
                HasSubstr("\"http.port\""));
    EXPECT_EQ(
        message(settings.load_environment({{"IMMORTAL_HTTP_PROT", "1"}})),
        "environment variable IMMORTAL_HTTP_PROT is not known; did you mean IMMORTAL_HTTP_PORT?");
    EXPECT_THAT(message(settings.set_flag("--x", "game.timescale", "1")),
                HasSubstr("game.time_scale"));
}

TEST_F(ConfigTest, other_environment_is_left_alone) {
    EXPECT_TRUE(settings.load_environment({{"HOME", "/"}, {"IMMORTAL_TEST_POSTGRES", "x"}}));
}

TEST_F(ConfigTest, wrong_types_and_ranges_name_key_source_and_expectation) {
    EXPECT_EQ(message(settings.load_toml("[http]\nport = \"80\"", "f.toml")),
              "f.toml:2: http.port must be a whole number, not text");
    EXPECT_EQ(message(settings.load_toml("[http]\nport = 70000", "f.toml")),
              "f.toml:2: http.port must be a whole number from 0 to 65535, not \"70000\"");
    EXPECT_EQ(message(settings.load_environment({{"IMMORTAL_HTTP_PORT", "80x"}})),
              "IMMORTAL_HTTP_PORT: http.port must be a whole number from 0 to 65535, not \"80x\"");
    EXPECT_EQ(message(settings.set_flag("--log-level", "log.level", "loud")),
              "--log-level: log.level must be one of debug, info, not \"loud\"");
    for (const char* bad : {"", "nan", "inf", "0", "1e7", "fast"})
        EXPECT_FALSE(settings.set_flag("--time-scale", "game.time_scale", bad)) << bad;
    EXPECT_FALSE(settings.set_flag("--keep-alive", "http.keep_alive", "yes"));
    EXPECT_THAT(message(settings.load_toml("[http\nport = 1", "f.toml")),
                HasSubstr("f.toml:1: not valid TOML"));
    EXPECT_THAT(message(settings.load_file("/does/not/exist.toml")),
                HasSubstr("exist.toml cannot be read"));
    EXPECT_EQ(message(settings.load_file("/dev")), "The configuration file /dev is a folder.");
    EXPECT_EQ(message(settings.load_file("/dev/zero")),
              "The configuration file /dev/zero is not a regular file.");
}

TEST_F(ConfigTest, whole_number_serves_as_decimal) {
    ASSERT_TRUE(settings.load_toml("[game]\ntime_scale = 3600", "f.toml"));
    EXPECT_DOUBLE_EQ(settings.number("game.time_scale"), 3600.0);
}

TEST_F(ConfigTest, secrets_are_never_printed) {
    ASSERT_TRUE(settings.set_flag("--postgres", "postgres.uri", "postgresql://u:hunter2@h/d"));
    EXPECT_THAT(settings.describe(), HasSubstr("postgres.uri = (set)  # --postgres"));
    EXPECT_THAT(settings.describe(), Not(HasSubstr("hunter2")));
    config_registry choices;
    choices.add({.name = "a.key",
                 .fallback = std::string("x"),
                 .doc = "d",
                 .allowed = {"x"},
                 .secret = true});
    config other(choices);
    EXPECT_THAT(message(other.set_flag("--a", "a.key", "hunter2")), Not(HasSubstr("hunter2")));
}

TEST_F(ConfigTest, sample_file_names_every_key_and_is_valid_when_uncommented) {
    const std::string sample = registry.sample_file();
    EXPECT_THAT(sample,
                HasSubstr("# The HTTP interface.\n[http]\n# Address.\n#address = \"127.0.0.1\"\n"
                          "# Port. From 0 to 65535.\n#port = 8080\n"));
    EXPECT_TRUE(settings.load_toml(sample, "sample"));
    std::string live;
    for (std::size_t i = 0; i < sample.size(); ++i)
        if (sample[i] != '#' || (i > 0 && sample[i - 1] != '\n') || sample[i + 1] == ' ' ||
            sample[i + 1] == '\n')
            live += sample[i];
    ASSERT_TRUE(settings.load_toml(live, "sample"));
    for (const config_key& key : registry.keys())
        EXPECT_FALSE(settings.is_default(key.name)) << key.name;
}

} // namespace
} // namespace immortal::base
