#include "base/json.hpp"

#include <gtest/gtest.h>

namespace immortal::base {
namespace {

BOOST_DEFINE_ENUM_CLASS(colour, red, deep_blue)

struct inner {
    std::int32_t small = 0;
    friend bool operator==(const inner&, const inner&) = default;
};
BOOST_DESCRIBE_STRUCT(inner, (), (small))

struct outer {
    uuid player_id;
    std::string name;
    std::optional<std::string> location;
    std::vector<inner> parts;
    colour shade = colour::red;
    utc_time started_at;
    std::int64_t amount = 0;
    friend bool operator==(const outer&, const outer&) = default;
};
BOOST_DESCRIBE_STRUCT(outer, (), (player_id, name, location, parts, shade, started_at, amount))

struct fractions {
    double zero = 0;
    double whole = 100;
    double quarter = 0.25;
    double tiny = 1e-7;
    double negative = -1.5;
    std::vector<double> none;
    std::optional<double> absent;
};
BOOST_DESCRIBE_STRUCT(fractions, (), (zero, whole, quarter, tiny, negative, none, absent))

struct nothing {};
BOOST_DESCRIBE_STRUCT(nothing, (), ())

outer sample() {
    outer value;
    value.player_id = uuid::make_derived("a", "b");
    value.name = "李逍遥";
    value.parts = {{1}, {-2}};
    value.shade = colour::deep_blue;
    value.started_at = *parse_iso("2026-01-02T03:04:05.678Z");
    value.amount = json_integer_max;
    return value;
}

result<outer> decode_changed(std::string_view key, json::value value) {
    json::object object = encode(sample()).as_object();
    object[key] = std::move(value);
    return decode<outer>(object, unknown_fields::refused);
}

TEST(json_codec, round_trips_through_text) {
    const auto parsed = parse_json(encode_text(sample()));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(decode<outer>(*parsed).value(), sample());
}

TEST(json_codec, keys_are_camel_case_and_absent_optionals_left_out) {
    const json::object object = encode(sample()).as_object();
    EXPECT_TRUE(object.contains("playerId"));
    EXPECT_FALSE(object.contains("location"));
    EXPECT_EQ(object.at("shade").as_string(), "deep_blue");
}

TEST(json_codec, an_error_names_the_field) {
    EXPECT_EQ(decode_changed("name", 5).error().field, "name");
    EXPECT_EQ(decode_changed("parts", {json::object{{"small", 5e9}}}).error().field,
              "parts.0.small");
    EXPECT_EQ(decode_changed("amount", 9007199254740992).error().field, "amount");
    EXPECT_EQ(decode_changed("startedAt", "yesterday").error().field, "startedAt");
    EXPECT_EQ(decode_changed("shade", "green").error().message, "must be one of red deep_blue");
}

TEST(json_codec, unknown_fields_are_refused_or_ignored) {
    EXPECT_EQ(decode_changed("cheat", 1).error().reason, "unknown_field");
    json::object object = encode(sample()).as_object();
    object["later"] = 1;
    EXPECT_TRUE(decode<outer>(object, unknown_fields::ignored));
}

TEST(json_codec, missing_fields_are_named) {
    json::object object = encode(sample()).as_object();
    object.erase("name");
    EXPECT_EQ(decode<outer>(object).error().reason, "missing_field");
    EXPECT_EQ(decode<outer>(object).error().field, "name");
}

TEST(parse_json, refuses_numbers_that_could_not_be_written_again) {
    for (const char* text : {"1e400", "[0, -1e999999999]", R"({"a":{"b":19993e999999999}})"}) {
        const auto parsed = parse_json(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, errc::invalid_argument);
    }
    for (const char* text : {"1e308", "1e-400", "123456789012345678901234567890"}) {
        const auto parsed = parse_json(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_TRUE(parse_json(json::serialize(*parsed))) << text;
    }
}

TEST(parse_json, refuses_depth_bombs_and_trailing_text) {
    EXPECT_FALSE(parse_json(std::string(100000, '[')));
    EXPECT_FALSE(parse_json("{} x"));
    EXPECT_FALSE(parse_json("\"\xff\""));
}

TEST(json_text_test, numbers_are_plain) {
    EXPECT_EQ(
        encode_text(fractions{}),
        R"({"zero":0,"whole":100,"quarter":0.25,"tiny":0.0000001,"negative":-1.5,"none":[]})");
    for (const double number : {0.1, 1.0 / 3, 1e-9, 999'999'999'999'999.0, -123456.789}) {
        EXPECT_EQ(encode_text(number).find_first_of("eE"), std::string::npos) << number;
    }
    for (const double number : {0.1, 2.0 / 3, 1e-9, 1e15, 1e-10, 1e300, -123456.789}) {
        const auto back = parse_json(encode_text(number));
        ASSERT_TRUE(back) << encode_text(number);
        EXPECT_DOUBLE_EQ(back->to_number<double>(), number);
    }
    EXPECT_EQ(encode_text(std::numeric_limits<double>::infinity()), "null");
}

// But for doubles the text is the one that Boost.JSON writes: stored hashes of it stay good.
TEST(json_text_test, is_the_text_of_the_value) {
    std::string all;
    for (int c = 0; c < 256; ++c) {
        all += static_cast<char>(c);
    }
    EXPECT_EQ(encode_text(all), json::serialize(json::value(json::string(all))));
    EXPECT_EQ(encode_text(sample()), json::serialize(encode(sample())));
    EXPECT_EQ(encode_text(nothing{}), "{}");
    outer other = sample();
    other.location = "\"quoted\"\n";
    other.parts.clear();
    EXPECT_EQ(encode_text(other), json::serialize(encode(other)));
    EXPECT_EQ(json_text(encode(other)), json::serialize(encode(other)));
    EXPECT_EQ(json_text(json::object{
                  {"a", json::object{}}, {"b", json::array{}}, {"c", nullptr}, {"d", true}}),
              R"({"a":{},"b":[],"c":null,"d":true})");
}

} // namespace
} // namespace immortal::base
