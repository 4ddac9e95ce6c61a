// What this program is.
#pragma once

#include <string_view>

namespace immortal::app {

[[nodiscard]] std::string_view version_text(); // "0.1.0"
[[nodiscard]] std::string_view build_text();   // compiler and kind of build

} // namespace immortal::app
