#include "postgres/text_format.hpp"

#include <fmt/format.h>

#include <charconv>

namespace immortal::postgres {

namespace {

// Takes `digits` decimal digits from the front of `text`; -1 if they are not there.
int take_number(std::string_view& text, std::size_t digits) noexcept {
    int value = 0;
    if (text.size() < digits) {
        return -1;
    }
    const auto [end, code] = std::from_chars(text.data(), text.data() + digits, value);
    if (code != std::errc{} || end != text.data() + digits || value < 0) {
        return -1;
    }
    text.remove_prefix(digits);
    return value;
}

bool take(std::string_view& text, char expected) noexcept {
    if (text.empty() || text.front() != expected) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

} // namespace

std::string timestamp_text(base::utc_time time) {
    using namespace std::chrono;
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(time - day);
    int year = static_cast<int>(date.year());
    const bool before_christ = year <= 0;
    if (before_christ) {
        year = 1 - year;
    }
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00{}", year,
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count(), before_christ ? " BC" : "");
}

std::optional<base::utc_time> parse_timestamp(std::string_view text) noexcept {
    using namespace std::chrono;
    const bool before_christ = text.ends_with(" BC");
    if (before_christ) {
        text.remove_suffix(3);
    }
    const std::size_t year_digits = text.find('-');
    if (year_digits == std::string_view::npos || year_digits < 4 || year_digits > 6) {
        return std::nullopt;
    }
    const int year_number = take_number(text, year_digits);
    const int month_number = take(text, '-') ? take_number(text, 2) : -1;
    const int day_number = take(text, '-') ? take_number(text, 2) : -1;
    const int hour = take(text, ' ') ? take_number(text, 2) : -1;
    const int minute = take(text, ':') ? take_number(text, 2) : -1;
    const int second = take(text, ':') ? take_number(text, 2) : -1;
    if (year_number < 0 || month_number < 0 || day_number < 0 || hour < 0 || minute < 0 ||
        second < 0) {
        return std::nullopt;
    }
    int micros = 0;
    if (take(text, '.')) {
        const std::size_t digits = text.find('+');
        if (digits == std::string_view::npos || digits == 0 || digits > 6) {
            return std::nullopt;
        }
        micros = take_number(text, digits);
        if (micros < 0) {
            return std::nullopt;
        }
        for (std::size_t i = digits; i < 6; ++i) {
            micros *= 10;
        }
    }
    const int year_value = before_christ ? 1 - year_number : year_number;
    const auto date = year{year_value} / month{static_cast<unsigned>(month_number)} /
                      day{static_cast<unsigned>(day_number)};
    if (text != "+00" || !date.ok()) {
        return std::nullopt;
    }
    return base::utc_time(sys_days(date)) + hours(hour) + minutes(minute) + seconds(second) +
           microseconds(micros);
}

} // namespace immortal::postgres
