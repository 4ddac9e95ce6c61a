// Names of the streams that belong to one thing: "<category>-<id>".
#pragma once

#include "base/uuid.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace immortal::game {

[[nodiscard]] inline std::string stream_name(std::string_view category, const base::uuid& id) {
    std::string out(category);
    out += '-';
    out += id.text();
    return out;
}

// Empty if `stream` is no stream of the category.
[[nodiscard]] inline std::optional<base::uuid> id_in_stream(std::string_view category,
                                                            std::string_view stream) noexcept {
    if (!stream.starts_with(category) || stream.size() <= category.size() ||
        stream[category.size()] != '-') {
        return std::nullopt;
    }
    return base::uuid::parse(stream.substr(category.size() + 1));
}

} // namespace immortal::game
