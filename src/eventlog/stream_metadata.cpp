#include "eventlog/stream_metadata.hpp"

#include "base/assert.hpp"
#include "base/json.hpp"
#include "eventlog/planted_fault.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

namespace json = base::json;

constexpr std::size_t depth_max = 64;

std::optional<std::uint64_t> whole_number(const json::object& in, std::string_view key,
                                          std::uint64_t least, std::uint64_t most) {
    const json::value* found = in.if_contains(key);
    if (found == nullptr || !found->is_int64()) { // what exceeds an int64 is no number of ours
        return std::nullopt;
    }
    const std::int64_t number = found->get_int64();
    if (number < 0 || static_cast<std::uint64_t>(number) < least ||
        static_cast<std::uint64_t>(number) > most) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(number);
}

std::optional<std::chrono::seconds> seconds(const json::object& in, std::string_view key) {
    // Longer than a thousand years is for ever, and would overflow a time.
    constexpr std::uint64_t most = 1000ull * 366 * 24 * 3600;
    const auto number = whole_number(in, key, 1, tombstone_revision.value);
    return number ? std::optional(
                        std::chrono::seconds(static_cast<std::int64_t>(std::min(*number, most))))
                  : std::nullopt;
}

stream_access::roles roles_of(const json::object& in, std::string_view key) {
    const json::value* found = in.if_contains(key);
    if (found == nullptr) {
        return std::nullopt;
    }
    std::vector<std::string> out;
    if (const json::string* one = found->if_string()) {
        out.emplace_back(*one);
        return out;
    }
    const json::array* several = found->if_array();
    if (several == nullptr) {
        return std::nullopt;
    }
    for (const json::value& role : *several) {
        if (const json::string* text = role.if_string()) {
            out.emplace_back(*text);
        }
    }
    return out;
}

stream_access access_of(const json::object& in) {
    return {roles_of(in, "$r"), roles_of(in, "$w"), roles_of(in, "$d"), roles_of(in, "$mr"),
            roles_of(in, "$mw")};
}

} // namespace

stream_metadata parse_stream_metadata(std::string_view text) {
    stream_metadata out;
    const auto parsed = base::parse_json(text, depth_max);
    const json::object* in = parsed ? parsed->if_object() : nullptr;
    if (in == nullptr) {
        return out;
    }
    constexpr std::uint64_t most = tombstone_revision.value;
    out.max_count = whole_number(*in, "$maxCount", 1, most);
    out.max_age = seconds(*in, "$maxAge");
    out.truncate_before = whole_number(*in, "$tb", 0, most);
    out.cache_control = seconds(*in, "$cacheControl");
    const json::value* temporary = in->if_contains("$tmp");
    out.temporary = temporary != nullptr && temporary->is_bool() && temporary->get_bool();
    const json::value* access = in->if_contains("$acl");
    if (access != nullptr && access->is_object()) {
        out.access = access_of(access->get_object());
    }
    return out;
}

stream_metadata metadata_of(const recorded_event& event) {
    return event.format == content::json ? parse_stream_metadata(event.data) : stream_metadata{};
}

stream_metadata metadata_stream_metadata() {
    stream_metadata out;
    out.max_count = 1;
    return out;
}

base::revision lowest_readable(const stream_metadata& of, base::revision last) {
    IMMORTAL_ASSERT(last < tombstone_revision);
    if (is_planted(planted_fault::show_hidden)) {
        return {};
    }
    std::uint64_t lowest = of.truncate_before.value_or(0);
    const std::uint64_t count = last.value + 1;
    if (of.max_count && *of.max_count < count) {
        lowest = std::max(lowest, count - *of.max_count);
    }
    return {lowest};
}

bool too_old(const stream_metadata& of, base::utc_time created, base::utc_time now) {
    return of.max_age && created < now - *of.max_age;
}

std::string metadata_stream_of(std::string_view stream) {
    return "$$" + std::string(stream);
}

std::string_view described_stream(std::string_view stream) {
    IMMORTAL_ASSERT(is_metadata_stream(stream));
    return stream.substr(2);
}

std::string soft_deleting_metadata() {
    return R"({"$tb":)" + std::to_string(truncated_for_ever) + "}";
}

std::string undeleting_metadata(std::string_view text, base::revision from) {
    auto parsed = base::parse_json(text, depth_max);
    json::object out;
    if (parsed && parsed->is_object()) {
        out = std::move(parsed->get_object());
    }
    out["$tb"] = from.value;
    return json::serialize(out);
}

} // namespace immortal::eventlog
