#include "esdb/access.hpp"

#include <gtest/gtest.h>

namespace immortal::esdb {
namespace {

const principal admin{"admin", {"$admins"}};
const principal operations{"ops", {"$ops"}};
const principal alice{"alice", {"readers"}};
const principal nobody{};

bool allowed(const principal& who, std::string_view stream, stream_right right,
             std::string_view metadata = "{}") {
    return may(who, access_target_of(stream, right),
               eventlog::parse_stream_metadata(metadata).access, built_in_access());
}

TEST(access, user_streams_are_everybodys_and_system_streams_the_admins) {
    EXPECT_TRUE(allowed(alice, "player-1", stream_right::read));
    EXPECT_TRUE(allowed(alice, "player-1", stream_right::remove));
    EXPECT_FALSE(allowed(alice, "$settings", stream_right::read));
    EXPECT_FALSE(allowed(operations, "$all", stream_right::read));
    EXPECT_TRUE(allowed(admin, "$all", stream_right::read));
}

TEST(access, a_streams_own_list_decides_what_it_names) {
    constexpr std::string_view acl = R"({"$acl":{"$r":"readers","$w":["bob","alice"],"$d":[]}})";
    EXPECT_TRUE(allowed(alice, "s", stream_right::read, acl));
    EXPECT_TRUE(allowed(alice, "s", stream_right::write, acl));
    EXPECT_FALSE(allowed(operations, "s", stream_right::read, acl));
    EXPECT_FALSE(allowed(alice, "s", stream_right::remove, acl));
    EXPECT_TRUE(allowed(admin, "s", stream_right::remove, acl));
    EXPECT_TRUE(allowed(operations, "s", stream_right::read_metadata, acl)) << "not named: default";
}

TEST(access, metadata_streams_have_rights_of_their_own) {
    constexpr std::string_view acl = R"({"$acl":{"$mr":"readers","$mw":"$admins"}})";
    EXPECT_TRUE(allowed(alice, "$$s", stream_right::read, acl));
    EXPECT_FALSE(allowed(operations, "$$s", stream_right::read, acl));
    EXPECT_FALSE(allowed(alice, "$$s", stream_right::write, acl));
    EXPECT_EQ(access_target_of("$$$settings", stream_right::write).stream, "$settings");
    EXPECT_FALSE(allowed(alice, "$$$settings", stream_right::read));
}

TEST(access, settings_replace_the_defaults) {
    const default_access defaults = parse_default_access(
        R"({"$userStreamAcl":{"$w":"writers"},"$systemStreamAcl":{"$r":"$all"}})");
    const auto with = [&](const principal& who, std::string_view stream, stream_right right) {
        return may(who, access_target_of(stream, right), {}, defaults);
    };
    EXPECT_FALSE(with(alice, "s", stream_right::write));
    EXPECT_TRUE(with(principal{"w", {"writers"}}, "s", stream_right::write));
    EXPECT_TRUE(with(alice, "s", stream_right::read)) << "not named: as built in";
    EXPECT_TRUE(with(alice, "$ce-x", stream_right::read));
    EXPECT_FALSE(with(alice, "$ce-x", stream_right::write));
}

TEST(access, settings_that_are_no_lists_change_nothing) {
    for (const std::string_view text :
         {"", "{", "[]", R"({"$userStreamAcl":7})", R"({"$userStreamAcl":{"$r":{}}})"}) {
        EXPECT_EQ(parse_default_access(text).user_streams, built_in_access().user_streams) << text;
    }
}

TEST(access, an_empty_name_is_no_role) {
    EXPECT_FALSE(nobody.has_role(""));
    EXPECT_TRUE(nobody.has_role("$all"));
}

} // namespace
} // namespace immortal::esdb
