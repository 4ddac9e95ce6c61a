#include "esdb/user_record.hpp"

#include "base/json.hpp"

#include <algorithm>

namespace immortal::esdb {
namespace {

using base::errc;
using base::fail;

constexpr std::size_t login_size_max = 64;
constexpr std::size_t name_size_max = 256;
constexpr std::size_t groups_max = 64;
constexpr std::size_t password_size_min = 8;
constexpr std::size_t password_size_max = 256;

bool fits_login(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '@';
}

} // namespace

std::string user_stream(std::string_view login) {
    return std::string(user_stream_prefix) + std::string(login);
}

base::status validate_login(std::string_view login) {
    if (login.empty() || login.size() > login_size_max || !std::ranges::all_of(login, fits_login)) {
        return fail(errc::invalid_argument,
                    "a login name has 1 to 64 letters, digits or any of . _ - @", "", "login_name");
    }
    return {};
}

base::status validate_profile(std::string_view full_name, const std::vector<std::string>& groups) {
    if (full_name.size() > name_size_max) {
        return fail(errc::invalid_argument, "a full name has at most 256 bytes", "", "full_name");
    }
    const bool names = std::ranges::all_of(groups, [](const std::string& group) {
        return !group.empty() && group.size() <= name_size_max;
    });
    if (groups.size() > groups_max || !names) {
        return fail(errc::invalid_argument, "at most 64 groups, each of 1 to 256 bytes", "",
                    "groups");
    }
    return {};
}

base::status validate_password(std::string_view password) {
    if (password.size() < password_size_min || password.size() > password_size_max) {
        return fail(errc::invalid_argument, "a password has 8 to 256 bytes", "", "password");
    }
    return {};
}

eventlog::new_event user_event(std::string_view type, const user_record& user, base::uuid id) {
    return {.id = id,
            .type = std::string(type),
            .data = base::encode_text(user),
            .metadata = {},
            .format = eventlog::content::json};
}

base::result<user_record> decode_user(const eventlog::recorded_event& event) {
    const auto parsed = base::parse_json(event.data);
    auto user = parsed ? base::decode<user_record>(*parsed)
                       : base::result<user_record>(fail(parsed.error()));
    if (!user || user_stream(user->login_name) != event.stream) {
        return fail(errc::corrupt, "the event in " + event.stream + " holds no user");
    }
    return user;
}

} // namespace immortal::esdb
