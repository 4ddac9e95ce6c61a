#include "esdb/user_record.hpp"

#include "base/json.hpp"
#include "base/unicode.hpp"

#include <algorithm>

namespace immortal::esdb {
namespace {

using base::errc;
using base::fail;

constexpr std::size_t login_characters_max = 64;
constexpr std::size_t login_size_max = 256;
constexpr std::size_t name_size_max = 256;
constexpr std::size_t groups_max = 64;
constexpr std::size_t password_size_min = 8;
constexpr std::size_t password_size_max = 256;

bool is_login(std::string_view text) {
    std::size_t visible = 0;
    std::size_t marks = 0;
    while (!text.empty()) {
        const auto c = base::take_code_point(text);
        const auto kind = c ? base::kind_of(*c) : base::character_kind::invisible;
        const bool sign = c == U'.' || c == U'_' || c == U'-' || c == U'@';
        if (kind == base::character_kind::mark) {
            if (++marks > visible) {
                return false;
            }
        } else if (sign || kind == base::character_kind::letter ||
                   kind == base::character_kind::number) {
            ++visible;
        } else {
            return false;
        }
    }
    return visible >= 1 && visible <= login_characters_max;
}

} // namespace

std::string user_stream(std::string_view login) {
    return std::string(user_stream_prefix) + std::string(login);
}

base::status validate_login(std::string_view login) {
    if (login.size() > login_size_max || !is_login(login) || !base::is_folded_but_ascii(login)) {
        return fail(errc::invalid_argument,
                    "a login name has 1 to 64 letters or digits of any script (those outside ASCII "
                    "written small), or any of . _ - @",
                    "", "login_name");
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
