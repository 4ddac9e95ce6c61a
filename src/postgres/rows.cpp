#include "base/assert.hpp"
#include "postgres/rows_data.hpp"
#include "postgres/text_format.hpp"

#include <charconv>
#include <stdexcept>

namespace immortal::postgres {

namespace {

[[noreturn]] void wrong_value(std::string_view expected) {
    throw std::runtime_error("a column does not hold " + std::string(expected));
}

template <typename Number>
Number parse_number(std::string_view text, std::string_view expected) {
    Number value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size()) {
        wrong_value(expected);
    }
    return value;
}

template <typename T>
T parse(std::string_view text) {
    if constexpr (std::is_same_v<T, std::string>) {
        return std::string(text);
    } else if constexpr (std::is_same_v<T, bool>) {
        if (text != "t" && text != "f") {
            wrong_value("a boolean");
        }
        return text == "t";
    } else if constexpr (std::is_integral_v<T>) {
        return parse_number<T>(text, "an integer");
    } else if constexpr (std::is_same_v<T, double>) {
        return parse_number<double>(text, "a number"); // NaN and Infinity included
    } else if constexpr (std::is_same_v<T, base::uuid>) {
        const auto id = base::uuid::parse(text);
        return id ? *id : (wrong_value("a UUID"), base::uuid{});
    } else if constexpr (std::is_same_v<T, base::utc_time>) {
        const auto time = parse_timestamp(text);
        return time ? *time : (wrong_value("a time"), base::utc_time{});
    } else {
        return T{parse_number<std::uint64_t>(text, "a position")};
    }
}

template <typename T>
struct optional_of {};
template <typename T>
struct optional_of<std::optional<T>> {
    using type = T;
};

} // namespace

std::size_t rows::size() const noexcept {
    return data_ ? static_cast<std::size_t>(PQntuples(data_->result.get())) : 0;
}

std::size_t rows::affected() const noexcept {
    const std::string_view text = data_ ? PQcmdTuples(data_->result.get()) : "";
    std::size_t count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return count;
}

bool rows::is_null(std::size_t row, std::size_t column) const {
    IMMORTAL_ASSERT(row < size());
    IMMORTAL_ASSERT(column < static_cast<std::size_t>(PQnfields(data_->result.get())));
    return PQgetisnull(data_->result.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
}

std::string_view rows::text(std::size_t row, std::size_t column) const {
    if (is_null(row, column)) {
        return {};
    }
    const auto r = static_cast<int>(row);
    const auto c = static_cast<int>(column);
    return {PQgetvalue(data_->result.get(), r, c),
            static_cast<std::size_t>(PQgetlength(data_->result.get(), r, c))};
}

template <typename T>
T rows::get(std::size_t row, std::size_t column) const {
    if constexpr (requires { typename optional_of<T>::type; }) {
        return is_null(row, column) ? T{}
                                    : T(parse<typename optional_of<T>::type>(text(row, column)));
    } else {
        if (is_null(row, column)) {
            wrong_value("a value: it is NULL");
        }
        return parse<T>(text(row, column));
    }
}

#define IMMORTAL_ROWS_GET(T)                                                                       \
    template T rows::get<T>(std::size_t, std::size_t) const;                                       \
    template std::optional<T> rows::get<std::optional<T>>(std::size_t, std::size_t) const;
IMMORTAL_ROWS_GET(std::string)
IMMORTAL_ROWS_GET(std::int64_t)
IMMORTAL_ROWS_GET(std::int32_t)
IMMORTAL_ROWS_GET(double)
IMMORTAL_ROWS_GET(bool)
IMMORTAL_ROWS_GET(base::uuid)
IMMORTAL_ROWS_GET(base::utc_time)
IMMORTAL_ROWS_GET(base::position)
IMMORTAL_ROWS_GET(base::revision)
#undef IMMORTAL_ROWS_GET

} // namespace immortal::postgres
