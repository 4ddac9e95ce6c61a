// The passwords that are tried first.
#pragma once

#include <string_view>

namespace immortal::accounts {

// `text` in lower case. The list holds words and phrases; check_password() also looks for them with
// digits and signs around, so that each stands for thousands.
[[nodiscard]] bool is_common_password(std::string_view text) noexcept;

} // namespace immortal::accounts
