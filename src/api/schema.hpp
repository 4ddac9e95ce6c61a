// JSON Schema of a described structure, from the same reflection that decodes it.
#pragma once

#include "base/json.hpp"

#include <string>
#include <type_traits>

namespace immortal::api {

template <typename T>
[[nodiscard]] base::json::object schema_of();

namespace detail {

base::json::object typed_schema(std::string_view type);
base::json::object text_schema(std::string_view format);

template <typename T>
base::json::object enum_schema() {
    base::json::object out = typed_schema("string");
    base::json::array names;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
        [&](auto enumerator) { names.emplace_back(enumerator.name); });
    out.emplace("enum", std::move(names));
    return out;
}

template <typename T>
base::json::object struct_schema() {
    base::json::object properties;
    base::json::array required;
    using members = boost::describe::describe_members<T, boost::describe::mod_public |
                                                             boost::describe::mod_inherited>;
    boost::mp11::mp_for_each<members>([&](auto member) {
        using value_type = std::remove_cvref_t<decltype(std::declval<T>().*member.pointer)>;
        const std::string& key = base::detail::key_of<decltype(member)>();
        properties.emplace(key, schema_of<value_type>());
        if constexpr (!base::detail::is_optional<value_type>::value) {
            required.emplace_back(base::json::string(key));
        }
    });
    base::json::object out = typed_schema("object");
    out.emplace("properties", std::move(properties));
    if (!required.empty()) {
        out.emplace("required", std::move(required));
    }
    out.emplace("additionalProperties", false);
    return out;
}

} // namespace detail

template <typename T>
base::json::object schema_of() {
    if constexpr (std::is_same_v<T, bool>) {
        return detail::typed_schema("boolean");
    } else if constexpr (std::is_same_v<T, double>) {
        return detail::typed_schema("number");
    } else if constexpr (std::is_integral_v<T> || std::is_same_v<T, base::position> ||
                         std::is_same_v<T, base::revision>) {
        return detail::typed_schema("integer");
    } else if constexpr (std::is_same_v<T, std::string>) {
        return detail::typed_schema("string");
    } else if constexpr (std::is_same_v<T, base::uuid>) {
        return detail::text_schema("uuid");
    } else if constexpr (std::is_same_v<T, base::utc_time>) {
        return detail::text_schema("date-time");
    } else if constexpr (std::is_same_v<T, base::json::object>) {
        return detail::typed_schema("object");
    } else if constexpr (std::is_same_v<T, base::json::value>) {
        return {};
    } else if constexpr (base::detail::described_enum<T>) {
        return detail::enum_schema<T>();
    } else if constexpr (base::detail::is_optional<T>::value) {
        return schema_of<typename T::value_type>();
    } else if constexpr (base::detail::is_vector<T>::value) {
        base::json::object out = detail::typed_schema("array");
        out.emplace("items", schema_of<typename T::value_type>());
        return out;
    } else {
        return detail::struct_schema<T>();
    }
}

} // namespace immortal::api
