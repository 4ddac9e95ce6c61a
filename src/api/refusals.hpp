// Every `code` of a problem document, with its status: what the interface promises to programs.
// docs/http-api.md says what each means; a test compares the two, and both with the sources.
#pragma once

#include <span>
#include <string_view>

namespace immortal::api {

struct refusal {
    unsigned status = 0;
    std::string_view code;
};

// Ascending by status, then by code. The rules of the game (409) are not among them: docs/rules.md
// lists those.
[[nodiscard]] std::span<const refusal> refusals() noexcept;

// Whether the interface promises this code. What lower modules call their reasons is not told
// otherwise.
[[nodiscard]] bool is_refusal(std::string_view code) noexcept;

} // namespace immortal::api
