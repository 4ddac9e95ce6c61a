// Addresses and ports: what may be listened on, and the sockets that do. Any thread.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace immortal::esdb {

// Closes the descriptor that it owns, if any.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int value) : value_(value) {}
    ~descriptor();
    descriptor(descriptor&& other) noexcept;
    descriptor& operator=(descriptor&& other) noexcept;
    [[nodiscard]] int get() const { return value_; } // negative: none

private:
    int value_ = -1;
};

struct listeners {
    std::vector<descriptor> sockets; // of the addresses that this machine has; not empty
    std::uint16_t port = 0;          // of all of them
};

// Listens on every address, at `port`, or at one that is free on all of them where it is 0. An
// IPv6 loopback address that the machine lacks is left out as long as there is another one.
// Connections carry small messages without delay, and end when what was sent to them is not
// confirmed for `silence_max`. Errors: invalid_argument (not numeric), unavailable (taken, not
// allowed; the message names address and port).
[[nodiscard]] base::result<listeners> open_listeners(const std::vector<std::string>& addresses,
                                                     std::uint16_t port,
                                                     std::chrono::milliseconds silence_max);

[[nodiscard]] bool is_loopback(const std::string& address); // false: not numeric

} // namespace immortal::esdb
