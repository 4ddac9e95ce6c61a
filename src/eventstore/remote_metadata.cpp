#include "eventstore/remote_metadata.hpp"

#include "base/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace immortal::eventstore {
namespace {

namespace json = boost::json;

constexpr std::string_view place_key = "immortal-batch"; // "<index>/<count>:<id>"
constexpr std::string_view typed_key = "immortal-json";  // names of members that are JSON texts
constexpr std::string_view whole_key = "immortal-whole"; // metadata that is no object
constexpr std::string_view schema_prefix = "$schema.";   // what the store adds by itself
constexpr std::size_t depth_max = 64;

std::string place_text(const batch_place& place) {
    return fmt::format("{}/{}:{}", place.index, place.count, place.batch.text());
}

std::optional<batch_place> parse_place(std::string_view text) {
    batch_place out;
    const auto slash = text.find('/');
    const auto colon = text.find(':');
    if (slash == std::string_view::npos || colon == std::string_view::npos || slash > colon) {
        return std::nullopt;
    }
    const auto read = [](std::string_view digits, std::uint32_t& value) {
        const auto [end, problem] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return problem == std::errc{} && end == digits.data() + digits.size();
    };
    const auto id = base::uuid::parse(text.substr(colon + 1));
    if (!read(text.substr(0, slash), out.index) ||
        !read(text.substr(slash + 1, colon - slash - 1), out.count) || !id ||
        out.index >= out.count) {
        return std::nullopt;
    }
    out.batch = *id;
    return out;
}

std::optional<json::object> as_object(std::string_view text) {
    auto parsed = base::parse_json(text, depth_max);
    return parsed && parsed->is_object() ? std::optional(std::move(parsed->get_object()))
                                         : std::nullopt;
}

bool is_marker(std::string_view key) {
    return key == place_key || key == typed_key || key == whole_key;
}

// Members that are JSON texts become values again.
void restore_types(json::object& members, std::string_view names) {
    auto listed = base::parse_json(names, depth_max);
    if (!listed || !listed->is_array()) {
        return;
    }
    for (const json::value& name : listed->get_array()) {
        json::value* member = name.is_string() ? members.if_contains(name.get_string()) : nullptr;
        if (member == nullptr || !member->is_string()) {
            continue;
        }
        if (auto value = base::parse_json(member->get_string(), depth_max)) {
            *member = std::move(*value);
        }
    }
}

std::string text_of(const json::value& value) {
    return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

} // namespace

remote_properties to_properties(std::string_view metadata, const batch_place& place) {
    remote_properties out;
    const auto object = metadata.empty() ? std::nullopt : as_object(metadata);
    const bool clashes = object && std::ranges::any_of(*object, [](const auto& member) {
                             return is_marker(member.key()) ||
                                    std::string_view(member.key()).starts_with(schema_prefix);
                         });
    if (object && !clashes) {
        json::array typed;
        for (const auto& [key, value] : *object) {
            if (!value.is_string()) {
                typed.emplace_back(key);
            }
            out.emplace_back(key, text_of(value));
        }
        if (!typed.empty() || object->empty()) {
            out.emplace_back(typed_key, json::serialize(typed));
        }
    } else if (!metadata.empty()) {
        out.emplace_back(whole_key, metadata);
    }
    if (place.count > 1) {
        out.emplace_back(place_key, place_text(place));
    }
    return out;
}

std::string to_bytes(std::string_view metadata, const batch_place& place) {
    if (place.count <= 1) {
        return std::string(metadata);
    }
    if (metadata.empty()) {
        return fmt::format(R"({{"{}":"{}"}})", place_key, place_text(place));
    }
    auto object = as_object(metadata);
    if (!object) {
        return std::string(metadata);
    }
    if (object->empty()) {
        (*object)[typed_key] = "[]"; // told apart from no metadata at all
    }
    (*object)[place_key] = place_text(place);
    return json::serialize(*object);
}

remote_metadata from_remote(std::string bytes) {
    const bool ours = bytes.find("\"immortal-") != std::string::npos;
    const bool properties = bytes.find("\"$schema.") != std::string::npos;
    auto members = ours || properties ? as_object(bytes) : std::nullopt;
    if (!members) {
        return {std::move(bytes), std::nullopt};
    }
    const auto take = [&members](std::string_view key) -> std::optional<std::string> {
        const auto found = members->find(key);
        if (found == members->end()) {
            return std::nullopt;
        }
        std::string text = text_of(found->value());
        members->erase(found);
        return text;
    };
    remote_metadata out;
    if (const auto place = take(place_key)) {
        out.place = parse_place(*place);
    }
    const auto typed = take(typed_key);
    const auto whole = take(whole_key);
    while (true) {
        const auto added = std::ranges::find_if(*members, [](const auto& member) {
            return std::string_view(member.key()).starts_with(schema_prefix);
        });
        if (added == members->end()) {
            break;
        }
        members->erase(added);
    }
    if (whole) {
        out.metadata = *whole;
        return out;
    }
    if (typed) {
        restore_types(*members, *typed);
    }
    // A member is left out of an empty metadata only if nothing was given.
    out.metadata = members->empty() && !typed ? std::string() : json::serialize(*members);
    return out;
}

} // namespace immortal::eventstore
