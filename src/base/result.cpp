#include "base/result.hpp"

namespace immortal::base {

std::string_view name_of(errc code) noexcept {
    switch (code) {
    case errc::invalid_argument:
        return "invalid_argument";
    case errc::not_found:
        return "not_found";
    case errc::already_exists:
        return "already_exists";
    case errc::conflict:
        return "conflict";
    case errc::rejected:
        return "rejected";
    case errc::mismatch:
        return "mismatch";
    case errc::unauthenticated:
        return "unauthenticated";
    case errc::forbidden:
        return "forbidden";
    case errc::rate_limited:
        return "rate_limited";
    case errc::too_large:
        return "too_large";
    case errc::unavailable:
        return "unavailable";
    case errc::unknown_outcome:
        return "unknown_outcome";
    case errc::timeout:
        return "timeout";
    case errc::behind:
        return "behind";
    case errc::corrupt:
        return "corrupt";
    case errc::cancelled:
        return "cancelled";
    case errc::exhausted:
        return "exhausted";
    case errc::deleted:
        return "deleted";
    case errc::internal:
        return "internal";
    }
    return "internal";
}

} // namespace immortal::base
