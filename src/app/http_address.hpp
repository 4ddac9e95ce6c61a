// The HTTP interface's addresses, from the configuration.
#pragma once

#include "app/settings.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace immortal::app {

// What an address of the configuration stands for: "localhost" is both loopback addresses, any
// other is itself.
[[nodiscard]] std::vector<std::string> numeric_addresses(const std::string& address);

// The addresses of http.trusted_proxies in their canonical text. Error: invalid_argument, with a
// sentence that names the one that is not numeric.
[[nodiscard]] base::result<std::vector<std::string>> trusted_proxies(const http_settings& options);

// Whether the value of `key` is "localhost" or a numeric address. Error: invalid_argument, with a
// sentence that names the key.
[[nodiscard]] base::status check_address(const std::string& key, const std::string& address);

// Precondition of all three: the text of a numeric address. Whether it means every address of its
// family; whether it is of IPv6; whether both mean the same one, however they are written.
[[nodiscard]] bool is_any_address(const std::string& address);
[[nodiscard]] bool is_ipv6_address(const std::string& address);
[[nodiscard]] bool is_same_address(const std::string& one, const std::string& other);

// Precondition: check_address(). Before anything is started: most refusals of address and port are
// seen here, at once. (The listener itself finds the others.) A loopback address that the machine
// lacks is no error as long as it has the other one. Errors: a sentence for the operator.
[[nodiscard]] base::status check_http(const http_settings& options);

// For a client on this machine.
[[nodiscard]] std::string http_url(const http_settings& options, std::uint16_t port);

} // namespace immortal::app
