#include "base/clock.hpp"

#include <fmt/format.h>

#include <charconv>

namespace immortal::base {

utc_time system_clock::now() const {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
}

steady_time system_clock::steady_now() const {
    return std::chrono::steady_clock::now();
}

utc_time manual_clock::now() const {
    return utc_time(std::chrono::microseconds(now_us_.load()));
}

steady_time manual_clock::steady_now() const {
    return steady_time(std::chrono::microseconds(steady_us_.load()));
}

void manual_clock::advance(std::chrono::microseconds by) {
    now_us_ += by.count();
    steady_us_ += by.count();
}

void manual_clock::set(utc_time to) {
    now_us_ = to.time_since_epoch().count();
}

std::string iso_text(utc_time time) {
    using namespace std::chrono;
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const auto of_day = floor<milliseconds>(time) - day;
    const hh_mm_ss clock_time(duration_cast<milliseconds>(of_day));
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock_time.hours().count(), clock_time.minutes().count(),
                       clock_time.seconds().count(), clock_time.subseconds().count());
}

namespace {

// Reads exactly `width` digits at the front of `text`.
std::optional<int> take_number(std::string_view& text, std::size_t width) noexcept {
    int value = 0;
    if (text.size() < width) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < width; ++i) {
        if (text[i] < '0' || text[i] > '9') {
            return std::nullopt;
        }
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(width);
    return value;
}

bool take_char(std::string_view& text, char expected) noexcept {
    if (text.empty() || text.front() != expected) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

// Reads an optional fraction of one to six digits, in microseconds.
std::optional<int> take_fraction(std::string_view& text) noexcept {
    if (!take_char(text, '.')) {
        return 0;
    }
    int value = 0;
    int digits = 0;
    while (digits < 6 && !text.empty() && text.front() >= '0' && text.front() <= '9') {
        value = value * 10 + (text.front() - '0');
        text.remove_prefix(1);
        ++digits;
    }
    if (digits == 0) {
        return std::nullopt;
    }
    for (; digits < 6; ++digits) {
        value *= 10;
    }
    return value;
}

} // namespace

std::optional<utc_time> parse_iso(std::string_view text) noexcept {
    using namespace std::chrono;
    const auto years = take_number(text, 4);
    if (!years || !take_char(text, '-')) {
        return std::nullopt;
    }
    const auto months_ = take_number(text, 2);
    if (!months_ || !take_char(text, '-')) {
        return std::nullopt;
    }
    const auto days_ = take_number(text, 2);
    if (!days_ || !take_char(text, 'T')) {
        return std::nullopt;
    }
    const auto hours_ = take_number(text, 2);
    if (!hours_ || *hours_ > 23 || !take_char(text, ':')) {
        return std::nullopt;
    }
    const auto minutes_ = take_number(text, 2);
    if (!minutes_ || *minutes_ > 59 || !take_char(text, ':')) {
        return std::nullopt;
    }
    const auto seconds_ = take_number(text, 2);
    if (!seconds_ || *seconds_ > 59) {
        return std::nullopt;
    }
    const auto fraction = take_fraction(text);
    if (!fraction || text != "Z") {
        return std::nullopt;
    }
    const year_month_day date(year(*years), month(static_cast<unsigned>(*months_)),
                              day(static_cast<unsigned>(*days_)));
    if (!date.ok()) {
        return std::nullopt;
    }
    return utc_time(sys_days(date)) + hours(*hours_) + minutes(*minutes_) + seconds(*seconds_) +
           microseconds(*fraction);
}

} // namespace immortal::base
