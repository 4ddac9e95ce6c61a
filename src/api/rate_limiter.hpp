// Rate limits: token buckets in bounded memory.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace immortal::api {

// Which limit, and by what it counts: `request`, `log_in` and `sign_up` by source; `command` by the
// acting character. `none`: operations routes.
enum class rate_class : std::uint8_t { none, request, log_in, sign_up, command };
constexpr std::size_t rate_class_count = 5;

[[nodiscard]] std::string_view name_of(rate_class kind) noexcept;

// `per_second` on average, `burst` at once. Zero `per_second`: unlimited.
struct rate {
    double per_second = 0;
    double burst = 0;
};

struct rate_settings {
    rate request{2'000, 4'000}; // every request but operations, over the classes below
    rate log_in{20.0 / 60, 20}; // log-ins and password changes
    rate sign_up{60.0 / 3'600, 60};
    rate command{20, 40};
    std::size_t entries_max = 65'536; // 16 bytes each; of a full set the emptiest goes first
};

// Thread-safe; does not wait.
class rate_limiter {
public:
    rate_limiter(rate_settings settings, const base::clock& clock);
    ~rate_limiter();

    // Takes one token. Error: rate_limited, with retry_after_ms.
    base::status take(rate_class kind, std::string_view who);

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::api
