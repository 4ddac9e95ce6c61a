#include "eventstore/connection_string.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace immortal::eventstore {
namespace {

connection_settings parsed(std::string_view text) {
    auto out = parse_connection_string(text);
    EXPECT_TRUE(out.has_value()) << text << ": " << (out ? "" : out.error().message);
    return out.value_or(connection_settings{});
}

std::string refused(std::string_view text) {
    const auto out = parse_connection_string(text);
    EXPECT_FALSE(out.has_value()) << text;
    return out ? "" : out.error().message;
}

TEST(connection_string, one_host_with_defaults) {
    const auto s = parsed("esdb://localhost");
    EXPECT_EQ(s.hosts, (std::vector<endpoint>{{"localhost", 2113}}));
    EXPECT_FALSE(s.discover);
    EXPECT_TRUE(s.tls);
    EXPECT_TRUE(s.verify_certificate);
    EXPECT_FALSE(s.login);
    EXPECT_EQ(s.discover_attempts, 10U);
    EXPECT_EQ(s.gossip_timeout, milliseconds(5000));
    EXPECT_EQ(s.keepalive_interval, milliseconds(10'000));
}

TEST(connection_string, every_scheme) {
    for (const std::string scheme : {"esdb", "kurrentdb", "kurrent", "kdb", "ESDB"}) {
        EXPECT_FALSE(parsed(scheme + "://h").discover);
        EXPECT_TRUE(parsed(scheme + "+discover://h").discover);
    }
    EXPECT_THAT(refused("http://h"), testing::HasSubstr("'http'"));
    EXPECT_THAT(refused("localhost:2113"), testing::HasSubstr("kurrentdb://"));
}

TEST(connection_string, hosts_and_addresses) {
    const auto s = parsed("esdb://a:1,b,[::1]:3/?tls=false");
    EXPECT_EQ(s.hosts, (std::vector<endpoint>{{"a", 1}, {"b", 2113}, {"::1", 3}}));
    EXPECT_TRUE(s.discover) << "several hosts are discovered";
    EXPECT_EQ(s.hosts[2].text(), "[::1]:3");
    refused(std::string_view("esdb://a\0b", 10));
    for (const auto* text :
         {"esdb://a b", "esdb://a\tb", "esdb://\xff", "esdb://", "esdb://a,,b", "esdb://a:0",
          "esdb://a:65536", "esdb://a:x", "esdb://[::1", "esdb://[::1]3", "esdb:///"}) {
        refused(text);
    }
}

TEST(connection_string, login_and_password_may_be_encoded) {
    const auto s = parsed("esdb://admin:p%40ss%3Aword@h");
    EXPECT_EQ(s.login, "admin");
    EXPECT_EQ(s.password, "p@ss:word");
    const std::string told = refused("esdb://secret%zz:hidden@h");
    EXPECT_EQ(told.find("hidden"), std::string::npos);
    EXPECT_EQ(told.find("secret"), std::string::npos);
    refused("esdb://admin@h");
    refused("esdb://:x@h");
    EXPECT_EQ(describe(s).find("p@ss"), std::string::npos);
}

TEST(connection_string, every_key) {
    const auto s = parsed(
        "esdb://h?TLS=false&tls_verify_cert=false&tlsCAFile=%2Fca.pem&connectionName=me&"
        "maxDiscoverAttempts=3&discoveryInterval=7&gossipTimeout=8&nodePreference=Read_Only_"
        "Replica&"
        "keepAliveInterval=-1&keepAliveTimeout=9&defaultDeadline=11&throwOnAppendFailure=false&"
        "dnsDiscover=true");
    EXPECT_FALSE(s.tls);
    EXPECT_FALSE(s.verify_certificate);
    EXPECT_EQ(s.ca_file, "/ca.pem");
    EXPECT_EQ(s.connection_name, "me");
    EXPECT_EQ(s.discover_attempts, 3U);
    EXPECT_EQ(s.discovery_interval, milliseconds(7));
    EXPECT_EQ(s.gossip_timeout, milliseconds(8));
    EXPECT_EQ(s.preference, node_preference::read_only_replica);
    EXPECT_FALSE(s.keepalive_interval);
    EXPECT_EQ(s.keepalive_timeout, milliseconds(9));
    EXPECT_EQ(s.default_deadline, milliseconds(11));
    EXPECT_TRUE(s.names("gossiptimeout"));
    EXPECT_FALSE(s.names("usercertfile"));
    EXPECT_TRUE(s.unknown.empty());
    EXPECT_EQ(parsed("esdb://h?userCertFile=a&userKeyFile=b").user_key_file, "b");
}

TEST(connection_string, wrong_values_are_named_and_unknown_keys_reported) {
    EXPECT_THAT(refused("esdb://h?tls=perhaps"), testing::HasSubstr("tls must be true or false"));
    EXPECT_THAT(refused("esdb://h?gossipTimeout=0"), testing::HasSubstr("gossipTimeout"));
    EXPECT_THAT(refused("esdb://h?nodePreference=boss"), testing::HasSubstr("leader"));
    EXPECT_THAT(refused("esdb://h?keepAliveInterval=99999999999999999999"),
                testing::HasSubstr("milliseconds"));
    refused("esdb://h?tls");
    refused("esdb://h?userCertFile=a");
    refused("esdb://h?tls=false&userCertFile=a&userKeyFile=b");
    EXPECT_EQ(parsed("esdb://h?colour=red&tls=false").unknown, std::vector<std::string>{"colour"});
}

} // namespace
} // namespace immortal::eventstore
