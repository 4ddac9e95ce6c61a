// Who calls.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::esdb {

// The caller of a method. An empty name is nobody known (anonymous).
struct principal {
    std::string name = {};
    std::vector<std::string> groups = {};

    [[nodiscard]] bool anonymous() const { return name.empty(); }
    // "$all" is everybody's. Members of "$admins" have every role.
    [[nodiscard]] bool has_role(std::string_view role) const {
        return role == "$all" || (!name.empty() && role == name) ||
               std::ranges::any_of(groups, [role](const std::string& group) {
                   return group == "$admins" || group == role;
               });
    }
};

// What may be done to a stream.
enum class stream_right : std::uint8_t { read, write, remove, read_metadata, write_metadata };

[[nodiscard]] constexpr bool changes(stream_right right) {
    return right != stream_right::read && right != stream_right::read_metadata;
}

} // namespace immortal::esdb
