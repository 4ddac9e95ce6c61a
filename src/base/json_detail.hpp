// What json.hpp is made of: traits, keys and error texts. Include json.hpp instead.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <boost/mp11.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace immortal::base {

namespace json = boost::json;

constexpr std::int64_t json_integer_max = (std::int64_t{1} << 53) - 1;

// "techniqueId" for "technique_id".
[[nodiscard]] std::string camel_case(std::string_view snake);

namespace detail {

template <typename T>
struct is_optional : std::false_type {};
template <typename T>
struct is_optional<std::optional<T>> : std::true_type {};
template <typename T>
struct is_vector : std::false_type {};
template <typename T, typename A>
struct is_vector<std::vector<T, A>> : std::true_type {};

template <typename T>
concept described_struct = boost::describe::has_describe_members<T>::value && std::is_class_v<T>;
template <typename T>
concept described_enum = boost::describe::has_describe_enumerators<T>::value;

// The JSON key of a described member; made once.
template <typename Descriptor>
const std::string& key_of() {
    static const std::string key = camel_case(Descriptor::name);
    return key;
}

// The same with quotes and colon, as it stands in a text.
template <typename Descriptor>
const std::string& quoted_key_of() {
    static const std::string key = '"' + camel_case(Descriptor::name) + "\":";
    return key;
}

error wrong_type(std::string_view field, std::string_view expected);
error missing(std::string_view field);
error unknown(std::string_view field);
error under(std::string_view parent, error inner);

result<std::int64_t> to_integer(const json::value& in, std::int64_t min, std::int64_t max);

template <typename T>
constexpr std::int64_t integer_min() {
    return std::is_signed_v<T> && sizeof(T) < 8
               ? static_cast<std::int64_t>(std::numeric_limits<T>::min())
           : std::is_signed_v<T> ? -json_integer_max
                                 : 0;
}
template <typename T>
constexpr std::int64_t integer_max() {
    return sizeof(T) < 8 ? static_cast<std::int64_t>(std::numeric_limits<T>::max())
                         : json_integer_max;
}

} // namespace detail

} // namespace immortal::base
