// What a user name, an e-mail address and a password must be. Pure.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace immortal::accounts {

// Each error is invalid_argument and names the field.

// 3 to 50 characters: letters, digits and marks of any script (by their Unicode properties), '_',
// '-' and '.'. Letters outside ASCII are small and not compatibility forms: then names that differ
// differ for the database too, which compares ASCII letters without their case. Names that begin
// with "erased-" are kept for erased accounts.
[[nodiscard]] base::status check_username(std::string_view name);

// name@domain.tld as the original's pattern has it, at most 255 characters.
[[nodiscard]] base::status check_email(std::string_view email);

// 8 to 128 characters of UTF-8, nothing of what is guessed first: common passwords (also with a few
// digits or signs around them), one character or block repeated, runs of neighbouring keys, the
// user's own name or e-mail.
[[nodiscard]] base::status check_password(std::string_view password, std::string_view username,
                                          std::string_view email, std::string_view field);

// ASCII letters to lower case; the rest stays. As the database's unique indexes compare.
[[nodiscard]] std::string lower(std::string_view text);

// Could stand in a column: valid UTF-8 without NUL.
[[nodiscard]] bool is_storable(std::string_view text) noexcept;

} // namespace immortal::accounts
