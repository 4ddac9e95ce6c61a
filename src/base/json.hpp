// JSON to and from C++ structures by reflection (Boost.Describe): one codec for events, HTTP bodies
// and cache entries.
//
// A structure is described once (BOOST_DESCRIBE_STRUCT); its members `snake_case` become the JSON
// keys `camelCase`. Supported members: bool, integers (kept within +-(2^53 - 1)), double,
// std::string, uuid, position, revision, utc_time (ISO-8601 UTC), described enums (by the
// enumerator's name), std::optional (absent or null), std::vector, json::value/object, described
// structures.
//
//   struct body { base::uuid player_id; std::string technique_id; std::optional<std::string>
//   location; }; BOOST_DESCRIBE_STRUCT(body, (), (player_id, technique_id, location)) auto parsed =
//   base::decode<body>(value, unknown_fields::refused);   // error.field == "techniqueId" when it
//   is missing
#pragma once

#include "base/json_detail.hpp"
#include "base/json_text.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::base {

enum class unknown_fields { refused, ignored };

// Parses one JSON text; at most `depth_max` levels, valid UTF-8, numbers that a double can hold,
// no duplicate-key check (the last one wins).
[[nodiscard]] result<json::value> parse_json(std::string_view text, std::size_t depth_max = 32);

template <typename T>
[[nodiscard]] json::value encode(const T& in);

template <typename T>
[[nodiscard]] result<T> decode(const json::value& in,
                               unknown_fields policy = unknown_fields::ignored);

namespace detail {

template <described_struct T>
json::value encode_struct(const T& in) {
    json::object out;
    using members = boost::describe::describe_members<T, boost::describe::mod_public |
                                                             boost::describe::mod_inherited>;
    out.reserve(boost::mp11::mp_size<members>::value);
    boost::mp11::mp_for_each<members>([&](auto member) {
        const auto& value = in.*member.pointer;
        if constexpr (is_optional<std::remove_cvref_t<decltype(value)>>::value) {
            if (!value) {
                return;
            }
        }
        out.emplace(key_of<decltype(member)>(), encode(value));
    });
    return out;
}

template <described_struct T>
result<T> decode_struct(const json::value& in, unknown_fields policy) {
    const json::object* object = in.if_object();
    if (object == nullptr) {
        return fail(wrong_type({}, "an object"));
    }
    T out{};
    std::optional<error> problem;
    std::size_t found = 0;
    using members = boost::describe::describe_members<T, boost::describe::mod_public |
                                                             boost::describe::mod_inherited>;
    boost::mp11::mp_for_each<members>([&](auto member) {
        using value_type = std::remove_cvref_t<decltype(out.*member.pointer)>;
        if (problem) {
            return;
        }
        const std::string& key = key_of<decltype(member)>();
        const json::value* value = object->if_contains(key);
        if (value == nullptr) {
            if constexpr (!is_optional<value_type>::value) {
                problem = missing(key);
            }
            return;
        }
        ++found;
        auto decoded = decode<value_type>(*value, policy);
        if (!decoded) {
            problem = under(key, std::move(decoded.error()));
            return;
        }
        out.*member.pointer = std::move(*decoded);
    });
    if (problem) {
        return fail(std::move(*problem));
    }
    if (policy == unknown_fields::refused && found != object->size()) {
        for (const auto& entry : *object) {
            bool known = false;
            boost::mp11::mp_for_each<members>(
                [&](auto member) { known = known || entry.key() == key_of<decltype(member)>(); });
            if (!known) {
                return fail(unknown(entry.key()));
            }
        }
    }
    return out;
}

} // namespace detail

template <typename T>
json::value encode(const T& in) {
    if constexpr (std::is_same_v<T, json::value> || std::is_same_v<T, json::object> ||
                  std::is_same_v<T, json::array>) {
        return in;
    } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double>) {
        return in;
    } else if constexpr (std::is_integral_v<T>) {
        return static_cast<std::int64_t>(in);
    } else if constexpr (std::is_same_v<T, std::string>) {
        return json::string(in);
    } else if constexpr (std::is_same_v<T, uuid>) {
        return json::string(in.text());
    } else if constexpr (std::is_same_v<T, position> || std::is_same_v<T, revision>) {
        return static_cast<std::int64_t>(in.value);
    } else if constexpr (std::is_same_v<T, utc_time>) {
        return json::string(iso_text(in));
    } else if constexpr (detail::described_enum<T>) {
        return json::string(boost::describe::enum_to_string(in, "?"));
    } else if constexpr (detail::is_optional<T>::value) {
        return in ? encode(*in) : json::value(nullptr);
    } else if constexpr (detail::is_vector<T>::value) {
        json::array out;
        out.reserve(in.size());
        for (const auto& item : in) {
            out.push_back(encode(item));
        }
        return out;
    } else {
        return detail::encode_struct(in);
    }
}

template <typename T>
result<T> decode(const json::value& in, unknown_fields policy) {
    if constexpr (std::is_same_v<T, json::value>) {
        return in;
    } else if constexpr (std::is_same_v<T, json::object>) {
        return in.is_object() ? result<T>(in.get_object())
                              : fail(detail::wrong_type({}, "an object"));
    } else if constexpr (std::is_same_v<T, bool>) {
        return in.is_bool() ? result<T>(in.get_bool())
                            : fail(detail::wrong_type({}, "true or false"));
    } else if constexpr (std::is_same_v<T, double>) {
        return in.is_number() ? result<T>(in.to_number<double>())
                              : fail(detail::wrong_type({}, "a number"));
    } else if constexpr (std::is_integral_v<T>) {
        const auto value =
            detail::to_integer(in, detail::integer_min<T>(), detail::integer_max<T>());
        return value ? result<T>(static_cast<T>(*value)) : fail(value.error());
    } else if constexpr (std::is_same_v<T, std::string>) {
        return in.is_string() ? result<T>(std::string(in.get_string()))
                              : fail(detail::wrong_type({}, "a string"));
    } else if constexpr (std::is_same_v<T, uuid>) {
        const auto parsed = in.is_string() ? uuid::parse(in.get_string()) : std::nullopt;
        return parsed ? result<T>(*parsed) : fail(detail::wrong_type({}, "a UUID"));
    } else if constexpr (std::is_same_v<T, position> || std::is_same_v<T, revision>) {
        const auto value = detail::to_integer(in, 0, json_integer_max);
        return value ? result<T>(T{static_cast<std::uint64_t>(*value)}) : fail(value.error());
    } else if constexpr (std::is_same_v<T, utc_time>) {
        const auto parsed = in.is_string() ? parse_iso(in.get_string()) : std::nullopt;
        return parsed ? result<T>(*parsed)
                      : fail(detail::wrong_type({}, "a UTC time such as 2026-01-31T08:00:00.000Z"));
    } else if constexpr (detail::described_enum<T>) {
        T value{};
        if (in.is_string() &&
            boost::describe::enum_from_string(std::string(in.get_string()).c_str(), value)) {
            return value;
        }
        std::string names = "one of";
        boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
            [&](auto enumerator) { (names += ' ') += enumerator.name; });
        return fail(detail::wrong_type({}, names));
    } else if constexpr (detail::is_optional<T>::value) {
        if (in.is_null()) {
            return T{};
        }
        auto value = decode<typename T::value_type>(in, policy);
        return value ? result<T>(T(std::move(*value))) : fail(std::move(value.error()));
    } else if constexpr (detail::is_vector<T>::value) {
        const json::array* array = in.if_array();
        if (array == nullptr) {
            return fail(detail::wrong_type({}, "an array"));
        }
        T out;
        out.reserve(array->size());
        for (std::size_t i = 0; i < array->size(); ++i) {
            auto item = decode<typename T::value_type>((*array)[i], policy);
            if (!item) {
                return fail(detail::under(std::to_string(i), std::move(item.error())));
            }
            out.push_back(std::move(*item));
        }
        return out;
    } else {
        return detail::decode_struct<T>(in, policy);
    }
}

// The JSON text of `in`.
template <typename T>
[[nodiscard]] std::string encode_text(const T& in) {
    std::string out;
    detail::append_text(out, in);
    return out;
}

} // namespace immortal::base
