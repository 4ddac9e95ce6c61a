#include "base/json.hpp"
#include "eventstore/remote_metadata.hpp"

#include <gtest/gtest.h>

namespace immortal::eventstore {
namespace {

namespace json = boost::json;

const base::uuid batch = *base::uuid::parse("00112233-4455-6677-8899-aabbccddeeff");

// What a server gives back for properties: one JSON object, with members of its own.
std::string as_read(const remote_properties& properties) {
    json::object out{{"$schema.name", "Happened"}, {"$schema.format", "Json"}};
    for (const auto& [key, value] : properties) {
        out[key] = value;
    }
    return json::serialize(out);
}

void expect_same(std::string_view given, std::string_view got) {
    const auto a = base::parse_json(given);
    const auto b = base::parse_json(got);
    if (a && b) {
        EXPECT_EQ(*a, *b);
    } else {
        EXPECT_EQ(given, got);
    }
}

TEST(remote_metadata, comes_back_by_either_way) {
    const batch_place place{.index = 2, .count = 5, .batch = batch};
    for (const std::string_view metadata :
         {"", "{}", R"({"commandId":"c","at":"2026"})", R"({"n":5,"deep":{"a":[1,null,true]}})",
          R"({"text":"5","number":5})", R"({"$schema.name":"mine"})", "no JSON at all", "[1,2]",
          R"({"immortal-json":"mine"})", R"({"$correlationId":"x","schemaVersion":1})"}) {
        const auto by_properties = from_remote(as_read(to_properties(metadata, place)));
        expect_same(metadata, by_properties.metadata);
        EXPECT_EQ(by_properties.place, place) << metadata;
    }
    for (const std::string_view metadata : {"", "{}", R"({"n":5,"deep":{"a":[1,null]}})"}) {
        const auto by_bytes = from_remote(to_bytes(metadata, place));
        expect_same(metadata, by_bytes.metadata);
        EXPECT_EQ(by_bytes.place, place) << metadata;
    }
}

TEST(remote_metadata, single_events_travel_byte_for_byte) {
    const batch_place alone{.index = 0, .count = 1, .batch = batch};
    for (const std::string_view metadata : {"", "{ \"a\" : 1 }", "\x01\xff", "[]"}) {
        EXPECT_EQ(to_bytes(metadata, alone), metadata);
        const auto back = from_remote(std::string(metadata));
        EXPECT_EQ(back.metadata, metadata);
        EXPECT_FALSE(back.place);
    }
}

TEST(remote_metadata, texts_are_plain_properties_for_others_to_read) {
    const auto properties = to_properties(R"({"$correlationId":"x"})", {});
    ASSERT_EQ(properties.size(), 1U);
    EXPECT_EQ(properties[0], (std::pair<std::string, std::string>{"$correlationId", "x"}));
}

TEST(remote_metadata, what_others_wrote_is_left_alone) {
    for (const std::string text :
         {R"({"immortal-batch":"nonsense"})", R"({"immortal-batch":"3/2:x"})"}) {
        EXPECT_FALSE(from_remote(text).place);
    }
    EXPECT_EQ(from_remote(R"({"$causedBy":"x"})").metadata, R"({"$causedBy":"x"})");
}

} // namespace
} // namespace immortal::eventstore
