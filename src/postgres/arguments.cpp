#include "base/assert.hpp"
#include "postgres/database.hpp"
#include "postgres/text_format.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace immortal::postgres {

namespace {

void write(std::string& out, double number) {
    if (std::isnan(number)) {
        out += "NaN";
    } else if (std::isinf(number)) {
        out += number > 0 ? "Infinity" : "-Infinity";
    } else {
        fmt::format_to(std::back_inserter(out), "{}", number); // the shortest text that reads back
    }
}

void write(std::string& out, std::int64_t number) {
    const fmt::format_int text(number);
    out.append(text.data(), text.size());
}

} // namespace

arguments& arguments::add(std::string_view text) {
    has_nul_byte_ = has_nul_byte_ || text.find('\0') != std::string_view::npos;
    values_.emplace_back(std::in_place, text);
    return *this;
}

arguments& arguments::add_integer(std::int64_t number) {
    write(values_.emplace_back(std::in_place).value(), number);
    return *this;
}

arguments& arguments::add(double number) {
    write(values_.emplace_back(std::in_place).value(), number);
    return *this;
}

arguments& arguments::add(bool flag) {
    values_.emplace_back(std::in_place, flag ? "t" : "f");
    return *this;
}

arguments& arguments::add(const base::uuid& id) {
    values_.emplace_back(id.text());
    return *this;
}

arguments& arguments::add(base::utc_time time) {
    values_.emplace_back(timestamp_text(time));
    return *this;
}

arguments& arguments::add_null() {
    values_.emplace_back(std::nullopt);
    return *this;
}

void arguments::begin_array(std::size_t count) {
    array_.clear();
    array_.reserve(2 + count * 8);
    array_ += '{';
}

arguments& arguments::end_array() {
    if (array_.size() > 1) {
        array_.back() = '}'; // the comma after the last element
    } else {
        array_ += '}';
    }
    values_.emplace_back(std::move(array_));
    array_.clear();
    return *this;
}

void arguments::append_null() {
    array_ += "NULL,";
}

void arguments::append_element(std::string_view text) {
    has_nul_byte_ = has_nul_byte_ || text.find('\0') != std::string_view::npos;
    array_ += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            array_ += '\\';
        }
        array_ += c;
    }
    array_ += "\",";
}

void arguments::append_integer(std::int64_t number) {
    write(array_, number);
    array_ += ',';
}

void arguments::append_element(double number) {
    write(array_, number);
    array_ += ',';
}

void arguments::append_element(bool flag) {
    array_ += flag ? "t," : "f,";
}

void arguments::append_element(const base::uuid& id) {
    array_ += id.text();
    array_ += ',';
}

void arguments::append_element(base::utc_time time) {
    array_ += timestamp_text(time);
    array_ += ',';
}

} // namespace immortal::postgres
