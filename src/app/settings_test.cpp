#include "app/esdb_options.hpp"
#include "app/http_address.hpp"
#include "app/settings.hpp"
#include "app/settings_check.hpp"
#include "esdb/listening.hpp"

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

// The figures of docs/http-api.md are those of the registry.
TEST(SettingsTest, documented_limits_are_the_registrys) {
    const auto config = load_config(std::nullopt, {});
    ASSERT_TRUE(config);
    const settings s = read_settings(*config);
    const auto grouped = [](double number) {
        std::string digits = std::to_string(static_cast<long>(number));
        if (digits.size() > 3) {
            digits.insert(digits.size() - 3, ",");
        }
        return digits;
    };
    const auto seconds = [](milliseconds time) {
        return std::to_string(time.count() / 1000) + " s";
    };
    const std::string text = content_of(IMMORTAL_SOURCE_DIR "/docs/http-api.md");
    const limit_settings& l = s.limits;
    for (const std::string& line :
         {"| " + grouped(l.requests_per_second) + "/s, burst " + grouped(l.requests_burst) + " |",
          "| log-ins, password changes | source address | " + grouped(l.logins_per_minute) +
              "/min |",
          "| registrations | source address | " + grouped(l.registrations_per_hour) + "/h |",
          "| " + grouped(l.commands_per_second) + "/s, burst " + grouped(l.commands_burst) + " |",
          "| connections | source address, total | " +
              grouped(static_cast<double>(s.http.connections_per_source_max)) + ", " +
              grouped(static_cast<double>(s.http.connections_max)) + " |",
          "| connection | " + seconds(s.http.read_timeout) + ", " +
              seconds(s.http.request_timeout) + ", " + seconds(s.http.write_timeout) + ", " +
              seconds(s.http.idle_timeout) + " |",
          "body too large (" + std::to_string(s.http.body_bytes_max / 1024) + " KiB)",
          "header too large (" + std::to_string(s.http.header_bytes_max / 1024) + " KiB",
          std::string("on `127.0.0.1:") + std::to_string(s.http.port) + "` and `[::1]:"}) {
        EXPECT_THAT(text, testing::HasSubstr(line));
    }
    EXPECT_EQ(numeric_addresses(s.http.address), (std::vector<std::string>{"127.0.0.1", "::1"}));
}

TEST(SettingsTest, proxies_are_numeric_addresses) {
    http_settings http;
    EXPECT_TRUE(trusted_proxies(http)->empty());
    http.trusted_proxies = "10.0.0.1, 0:0::1";
    EXPECT_EQ(*trusted_proxies(http), (std::vector<std::string>{"10.0.0.1", "::1"}));
    for (const char* bad : {"proxy.example", "10.0.0.1,", "10.0.0.1 10.0.0.2", "10.0.0.0/8"}) {
        http.trusted_proxies = bad;
        const auto refused = trusted_proxies(http);
        if (std::string(bad) != "10.0.0.1,") { // an empty rest is nothing
            EXPECT_THAT(refused.error().message, testing::HasSubstr("http.trusted_proxies"));
        }
    }
}

TEST(SettingsTest, hashing_of_the_event_stores_users_is_configured) {
    settings options;
    options.esdb.tls_certificate = options.esdb.tls_key = sample_path; // read, not looked at
    options.esdb.hashes_at_once = 3;
    options.esdb.hash_queue_max = 7;
    const auto made = esdb_options(options);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(made->security);
    EXPECT_EQ(made->security->hashes_at_once, 3u);
    EXPECT_EQ(made->security->hash_queue_max, 7u);
}

TEST(SettingsTest, an_append_is_bounded_at_the_port_as_in_the_log) {
    settings options;
    options.esdb.append_bytes_max = 5;
    options.event_log.append_events_max = 6;
    options.event_log.append_bytes_max = 7;
    const auto made = esdb_options(options);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->append.contents, 5u);
    EXPECT_EQ(made->append.events, 6u);
    EXPECT_EQ(made->append.encoded, 7u);
}

TEST(SettingsTest, a_configuration_that_cannot_be_used_is_refused_with_its_key) {
    const std::vector<std::pair<std::string, std::string>> bad = {
        {"http.trusted_proxies", "proxy.example.com"},
        {"http.address", "example.com"},
        {"esdb.address", "example.com"},
        {"redis.uri", "http://localhost"},
        {"postgres.uri", "postgresql://%zz"},
        {"event_store.uri", "http://localhost"},
        {"esdb.tls_key", "/nowhere/key"},
        {"esdb.address", "0.0.0.0"}, // without TLS
        {"esdb.address", "::"},
        {"server.data", ""},
    };
    for (const auto kind : {server_kind::game, server_kind::store}) {
        const auto loaded = read_settings(*load_config(std::nullopt, {}));
        EXPECT_TRUE(check_settings(loaded, kind)) << check_settings(loaded, kind).error().message;
        for (const auto& [key, value] : bad) {
            const auto config = load_config(std::nullopt, {{"--flag", key, value}});
            ASSERT_TRUE(config) << key << ": " << config.error().message;
            const auto refused = check_settings(read_settings(*config), kind);
            ASSERT_FALSE(refused) << key;
            EXPECT_THAT(refused.error().message, testing::HasSubstr(key));
            EXPECT_EQ(refused.error().code, base::errc::invalid_argument);
        }
    }
}

TEST(SettingsTest, two_interfaces_cannot_have_one_port) {
    const auto refusal = [](const std::vector<flag_value>& flags, server_kind kind) {
        const auto config = load_config(std::nullopt, flags);
        EXPECT_TRUE(config);
        const auto checked = check_settings(read_settings(*config), kind);
        return checked ? std::string() : checked.error().message;
    };
    const flag_value http{"--http-port", "http.port", "2113"};
    const auto address = [](const char* key, const char* value) {
        return flag_value{"--flag", key, value};
    };
    using testing::HasSubstr;
    for (const auto& flags : {std::vector{http},
                              {http, address("http.address", "127.0.0.1")},
                              {http, address("http.address", "0:0::1")},
                              {http, address("http.address", "0.0.0.0")},
                              {http, address("http.address", "::")}}) {
        EXPECT_THAT(refusal(flags, server_kind::game), HasSubstr("http.port, esdb.port"));
        EXPECT_EQ(refusal(flags, server_kind::store), ""); // which has no HTTP
    }
    EXPECT_EQ(refusal({http, address("http.address", "127.0.0.2")}, server_kind::game), "");
    EXPECT_EQ(refusal({http, address("http.address", "0.0.0.0"), address("esdb.address", "::1")},
                      server_kind::game),
              "");
    EXPECT_EQ(refusal({http, address("http.address", "::"), address("esdb.address", "127.0.0.1")},
                      server_kind::game),
              "");
    EXPECT_THAT(refusal({http, address("http.address", "::"), address("esdb.address", "::1")},
                        server_kind::game),
                HasSubstr("http.port, esdb.port"));
    const auto with_any = [&](const char* protocol_address, const char* http_address) {
        return refusal({http, address("http.address", http_address),
                        address("esdb.address", protocol_address)},
                       server_kind::game);
    };
    // Without a certificate, of which it is spoken only when the port is no problem.
    for (const char* taken : {"::", "0:0::0", "::1", "0.0.0.0", "127.0.0.2", "localhost"}) {
        EXPECT_THAT(with_any("::", taken), HasSubstr("http.port, esdb.port")) << taken;
    }
    EXPECT_THAT(with_any("0.0.0.0", "::"), HasSubstr("only with TLS"));
    EXPECT_THAT(with_any("0.0.0.0", "::1"), HasSubstr("only with TLS"));
    EXPECT_THAT(with_any("0.0.0.0", "127.0.0.2"), HasSubstr("http.port, esdb.port"));
    EXPECT_THAT(with_any("0.0.0.0", "localhost"), HasSubstr("http.port, esdb.port"));
    EXPECT_EQ(refusal({http, address("esdb.enabled", "false")}, server_kind::game), "");
    EXPECT_EQ(refusal({address("http.port", "0"), address("esdb.port", "0")}, server_kind::game),
              "");
}

TEST(SettingsTest, every_address_of_ipv6_leaves_the_port_of_ipv4_to_others) {
    const auto taken = esdb::open_listeners({"0.0.0.0"}, 0, std::chrono::milliseconds(0));
    ASSERT_TRUE(taken) << taken.error().message;
    http_settings options;
    options.port = taken->port;
    options.address = "0.0.0.0";
    EXPECT_FALSE(check_http(options));
    options.address = "::";
    const auto free = check_http(options);
    EXPECT_TRUE(free) << free.error().message;
}

TEST(SettingsTest, certificates_of_a_protocol_that_is_not_served_are_not_looked_at) {
    const auto config = load_config(std::nullopt, {{"--flag", "esdb.enabled", "false"},
                                                   {"--flag", "esdb.tls_certificate", "/nowhere"},
                                                   {"--flag", "esdb.tls_key", "/nowhere"}});
    ASSERT_TRUE(config);
    EXPECT_TRUE(check_settings(read_settings(*config), server_kind::game));
    const auto refused = check_settings(read_settings(*config), server_kind::store);
    EXPECT_THAT(refused.error().message, testing::HasSubstr("esdb.tls_certificate"));
}

TEST(SettingsTest, bad_flag_is_a_sentence) {
    const auto config = load_config(std::nullopt, {{"--http-port", "http.port", "ninety"}});
    ASSERT_FALSE(config);
    EXPECT_THAT(config.error().message,
                testing::HasSubstr("--http-port: http.port must be a whole number"));
}

} // namespace
} // namespace immortal::app
