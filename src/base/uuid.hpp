// 128-bit identifiers (RFC 9562).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::base {

class random_source;

struct uuid {
    std::array<std::uint8_t, 16> bytes{}; // big-endian, as in the canonical text

    [[nodiscard]] bool is_nil() const noexcept { return *this == uuid{}; }
    [[nodiscard]] std::string text() const; // canonical: lower case, hyphenated

    // Accepts the canonical text in either case; nothing else.
    [[nodiscard]] static std::optional<uuid> parse(std::string_view text) noexcept;
    // Version 4, from `random`.
    [[nodiscard]] static uuid make_random(random_source& random);
    // Version 8: the first 122 free bits of BLAKE2b over `scope`, a zero byte and `name`. Equal
    // input gives an equal id: what a command creates is found again when the command is retried.
    [[nodiscard]] static uuid make_derived(std::string_view scope, std::string_view name);

    friend auto operator<=>(const uuid&, const uuid&) = default;
};

} // namespace immortal::base

template <>
struct std::hash<immortal::base::uuid> {
    std::size_t operator()(const immortal::base::uuid& id) const noexcept;
};
