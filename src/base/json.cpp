#include "base/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace immortal::base {
namespace {

// The parser makes an infinity of a number that no double holds, and there is no JSON for it.
bool is_finite(const json::value& value) {
    switch (value.kind()) {
    case json::kind::double_:
        return std::isfinite(value.get_double());
    case json::kind::array:
        return std::ranges::all_of(value.get_array(), is_finite);
    case json::kind::object:
        return std::ranges::all_of(value.get_object(),
                                   [](const auto& member) { return is_finite(member.value()); });
    default:
        return true;
    }
}

} // namespace

result<json::value> parse_json(std::string_view text, std::size_t depth_max) {
    json::parse_options options;
    options.max_depth = depth_max;
    json::error_code failure;
    json::value value =
        json::parse(json::string_view(text.data(), text.size()), failure, {}, options);
    if (failure) {
        return fail(errc::invalid_argument, fmt::format("not valid JSON: {}", failure.message()),
                    "malformed_json");
    }
    if (!is_finite(value)) {
        return fail(errc::invalid_argument, "not valid JSON: a number is too large",
                    "malformed_json");
    }
    return value;
}

std::string camel_case(std::string_view snake) {
    std::string out;
    bool upper = false;
    for (const char c : snake) {
        if (c == '_') {
            upper = true;
            continue;
        }
        out.push_back(upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
        upper = false;
    }
    return out;
}

namespace detail {

error wrong_type(std::string_view field, std::string_view expected) {
    return {errc::invalid_argument, fmt::format("must be {}", expected), "invalid_field",
            std::string(field), 0};
}

error missing(std::string_view field) {
    return {errc::invalid_argument, "is required", "missing_field", std::string(field), 0};
}

error unknown(std::string_view field) {
    return {errc::invalid_argument, "is not known here; remove it", "unknown_field",
            std::string(field), 0};
}

error under(std::string_view parent, error inner) {
    inner.field =
        inner.field.empty() ? std::string(parent) : fmt::format("{}.{}", parent, inner.field);
    return inner;
}

result<std::int64_t> to_integer(const json::value& in, std::int64_t min, std::int64_t max) {
    std::optional<std::int64_t> value;
    if (in.is_int64()) {
        value = in.get_int64();
    } else if (in.is_double()) {
        // 5.0 and 5e0 are the same JSON number as 5.
        const double number = in.get_double();
        if (std::trunc(number) == number &&
            std::abs(number) <= static_cast<double>(json_integer_max)) {
            value = static_cast<std::int64_t>(number);
        }
    }
    if (!value || *value < min || *value > max) {
        return fail(wrong_type({}, fmt::format("an integer from {} to {}", min, max)));
    }
    return *value;
}

} // namespace detail
} // namespace immortal::base
