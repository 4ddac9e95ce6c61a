// A user of the event store as its stream holds it: `$user-<login>`, every event the whole record.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "esdb/principal.hpp"
#include "eventlog/event.hpp"

#include <boost/describe.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace immortal::esdb {

struct user_record {
    std::string login_name;
    std::string full_name;
    std::vector<std::string> groups;
    std::string hash; // argon2id, PHC text; never leaves the process
    bool disabled = false;
    base::utc_time last_updated{};

    [[nodiscard]] principal as_principal() const { return {login_name, groups}; }
};
BOOST_DESCRIBE_STRUCT(user_record, (),
                      (login_name, full_name, groups, hash, disabled, last_updated))

// The administrator that a start makes where there is none. The password is kept nowhere else.
struct first_user {
    std::string login;
    std::string password;
};

constexpr std::string_view user_stream_prefix = "$user-";
constexpr std::string_view user_list_stream = "$users";
constexpr std::string_view admins_group = "$admins";
constexpr std::string_view operators_group = "$ops";

[[nodiscard]] std::string user_stream(std::string_view login);

// Errors: invalid_argument naming the field: a login has 1 to 64 letters and digits of any script
// (by their Unicode properties; those outside ASCII small and no compatibility forms), '.', '_',
// '-' or '@'; names and groups are at most 256 bytes, at most 64 groups; a password has 8 to 256
// bytes.
[[nodiscard]] base::status validate_login(std::string_view login);
[[nodiscard]] base::status validate_profile(std::string_view full_name,
                                            const std::vector<std::string>& groups);
[[nodiscard]] base::status validate_password(std::string_view password);

[[nodiscard]] eventlog::new_event user_event(std::string_view type, const user_record& user,
                                             base::uuid id);
// Errors: corrupt (the event holds no user).
[[nodiscard]] base::result<user_record> decode_user(const eventlog::recorded_event& event);

} // namespace immortal::esdb
