// Addresses and ports: what may be listened on, and whether it is free. Any thread.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace immortal::esdb {

struct listening_plan {
    std::vector<std::string> addresses; // of those asked for, the ones this machine has
    std::uint16_t port = 0;             // the one asked for, or a free one where 0 was asked for
};

// Tries every address, and lets go of it again. Errors: invalid_argument (not numeric), unavailable
// (taken, not allowed; the message names address and port).
[[nodiscard]] base::result<listening_plan> plan_listening(const std::vector<std::string>& addresses,
                                                          std::uint16_t port);

[[nodiscard]] bool is_loopback(const std::string& address); // false: not numeric
[[nodiscard]] std::string endpoint_text(const std::string& address, std::uint16_t port);

} // namespace immortal::esdb
