// The seam for time. Wall-clock times are UTC with microseconds; durations are measured on a steady
// clock.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::base {

using utc_time = std::chrono::sys_time<std::chrono::microseconds>;
using steady_time = std::chrono::steady_clock::time_point;

class clock {
public:
    virtual ~clock() = default;
    // Thread-safe. May step backwards when the machine's clock is set.
    [[nodiscard]] virtual utc_time now() const = 0;
    // Thread-safe. Never goes back.
    [[nodiscard]] virtual steady_time steady_now() const = 0;
};

class system_clock final : public clock {
public:
    [[nodiscard]] utc_time now() const override;
    [[nodiscard]] steady_time steady_now() const override;
};

// Moves only when told to. Thread-safe.
class manual_clock final : public clock {
public:
    explicit manual_clock(utc_time start) : now_us_(start.time_since_epoch().count()) {}
    [[nodiscard]] utc_time now() const override;
    [[nodiscard]] steady_time steady_now() const override;
    void advance(std::chrono::microseconds by);
    void set(utc_time to); // the wall clock only; the steady clock stays

private:
    std::atomic<std::int64_t> now_us_;
    std::atomic<std::int64_t> steady_us_{0};
};

// "2026-11-22T21:50:00.123Z": UTC, milliseconds, always 24 characters for years 0000 to 9999. Finer
// parts are cut off.
[[nodiscard]] std::string iso_text(utc_time time);
// Accepts what iso_text writes, with 0 to 6 fractional digits, and "Z" only.
[[nodiscard]] std::optional<utc_time> parse_iso(std::string_view text) noexcept;

} // namespace immortal::base
