// JSON text straight from C++ structures, without a json::value between. Numbers from 1e-9 to 1e15
// are plain decimal ("0.25", not "2.5E-1"); strings are as Boost.JSON writes them. Include json.hpp
// instead.
#pragma once

#include "base/json_detail.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace immortal::base {

// The text of a json::value with plain numbers.
[[nodiscard]] std::string json_text(const json::value& in);
[[nodiscard]] std::string json_text(const json::object& in);

namespace detail {

void append_string(std::string& out, std::string_view text); // quoted and escaped
void append_number(std::string& out, std::int64_t number);
void append_number(std::string& out, double number); // not finite: null
void append_value(std::string& out, const json::value& in);
void append_value(std::string& out, const json::object& in);
void append_value(std::string& out, const json::array& in);

template <typename T>
void append_text(std::string& out, const T& in);

template <described_struct T>
void append_struct(std::string& out, const T& in) {
    using members = boost::describe::describe_members<T, boost::describe::mod_public |
                                                             boost::describe::mod_inherited>;
    char before = '{';
    boost::mp11::mp_for_each<members>([&](auto member) {
        const auto& value = in.*member.pointer;
        if constexpr (is_optional<std::remove_cvref_t<decltype(value)>>::value) {
            if (!value) {
                return;
            }
        }
        out += before;
        out += quoted_key_of<decltype(member)>();
        append_text(out, value);
        before = ',';
    });
    if (before == '{') {
        out += '{';
    }
    out += '}';
}

template <typename T>
void append_text(std::string& out, const T& in) {
    if constexpr (std::is_same_v<T, json::value> || std::is_same_v<T, json::object> ||
                  std::is_same_v<T, json::array>) {
        append_value(out, in);
    } else if constexpr (std::is_same_v<T, bool>) {
        out += in ? "true" : "false";
    } else if constexpr (std::is_same_v<T, double>) {
        append_number(out, in);
    } else if constexpr (std::is_integral_v<T>) {
        append_number(out, static_cast<std::int64_t>(in));
    } else if constexpr (std::is_same_v<T, std::string>) {
        append_string(out, in);
    } else if constexpr (std::is_same_v<T, uuid>) {
        (out += '"') += in.text();
        out += '"';
    } else if constexpr (std::is_same_v<T, position> || std::is_same_v<T, revision>) {
        append_number(out, static_cast<std::int64_t>(in.value));
    } else if constexpr (std::is_same_v<T, utc_time>) {
        (out += '"') += iso_text(in);
        out += '"';
    } else if constexpr (described_enum<T>) {
        append_string(out, boost::describe::enum_to_string(in, "?"));
    } else if constexpr (is_optional<T>::value) {
        if (in) {
            append_text(out, *in);
        } else {
            out += "null";
        }
    } else if constexpr (is_vector<T>::value) {
        char before = '[';
        for (const auto& item : in) {
            out += before;
            append_text(out, item);
            before = ',';
        }
        out += in.empty() ? "[]" : "]";
    } else {
        append_struct(out, in);
    }
}

} // namespace detail

} // namespace immortal::base
