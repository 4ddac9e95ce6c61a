// PostgreSQL's text format of points in time (DateStyle ISO, TimeZone UTC).
#pragma once

#include "base/clock.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace immortal::postgres {

// "2026-11-22 21:50:00.123456+00", with " BC" before year 1.
[[nodiscard]] std::string timestamp_text(base::utc_time time);
// Reads what the server writes for timestamptz in a UTC session: 0 to 6 fractional digits, years of
// more than four digits, " BC". Empty for anything else, "infinity" included.
[[nodiscard]] std::optional<base::utc_time> parse_timestamp(std::string_view text) noexcept;

} // namespace immortal::postgres
