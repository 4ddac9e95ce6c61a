#include "app/version.hpp"

namespace immortal::app {

std::string_view version_text() {
    return IMMORTAL_VERSION;
}

std::string_view build_text() {
    return "clang " __clang_version__ ", " IMMORTAL_BUILD;
}

} // namespace immortal::app
