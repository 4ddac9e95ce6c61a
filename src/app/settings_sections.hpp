// The parts of the list of keys that stand in files of their own, and what they share.
#pragma once

#include "app/settings.hpp"

#include <cstdint>

namespace immortal::app {

constexpr double port_max = 65535;
constexpr std::int64_t mebibyte = std::int64_t{1} << 20;

// The number as a key's value.
[[nodiscard]] constexpr std::int64_t whole(std::int64_t value) {
    return value;
}

// Adds its section, or keys of one that was begun.
void add_esdb_keys(base::config_registry& registry);
void add_esdb_limit_keys(base::config_registry& registry);
void add_event_log_keys(base::config_registry& registry);
void add_event_store_keys(base::config_registry& registry);

} // namespace immortal::app
