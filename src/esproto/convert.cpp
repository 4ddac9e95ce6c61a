#include "esproto/convert.hpp"

#include "esproto/event.hpp"

#include <algorithm>
#include <charconv>

namespace immortal::esproto {
namespace {

constexpr std::size_t half = 8;
constexpr std::size_t hyphens[] = {8, 13, 18, 23};

std::int64_t read_half(const base::uuid& id, std::size_t from) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < half; ++i) {
        value = value << 8u | id.bytes[from + i];
    }
    return static_cast<std::int64_t>(value);
}

void write_half(std::int64_t value, std::size_t from, base::uuid& id) {
    auto rest = static_cast<std::uint64_t>(value);
    for (std::size_t i = half; i > 0; --i) {
        id.bytes[from + i - 1] = static_cast<std::uint8_t>(rest & 0xFFu);
        rest >>= 8u;
    }
}

std::optional<base::uuid> parse_text(std::string_view text) {
    if (text.size() >= 2 && ((text.front() == '{' && text.back() == '}') ||
                             (text.front() == '(' && text.back() == ')'))) {
        text = text.substr(1, text.size() - 2);
    }
    if (text.size() != 32) {
        return base::uuid::parse(text);
    }
    std::string canonical(text);
    for (const std::size_t at : hyphens) {
        canonical.insert(at, 1, '-');
    }
    return base::uuid::parse(canonical);
}

} // namespace

void write_uuid(const base::uuid& id, uuid_form form, wire::UUID& out) {
    if (form == uuid_form::string) {
        out.set_string(id.text());
        return;
    }
    out.mutable_structured()->set_most_significant_bits(read_half(id, 0));
    out.mutable_structured()->set_least_significant_bits(read_half(id, half));
}

std::optional<base::uuid> read_uuid(const wire::UUID& in) {
    switch (in.value_case()) {
    case wire::UUID::kStructured: {
        base::uuid id;
        write_half(in.structured().most_significant_bits(), 0, id);
        write_half(in.structured().least_significant_bits(), half, id);
        return id;
    }
    case wire::UUID::kString:
        return parse_text(in.string());
    default:
        return std::nullopt;
    }
}

std::int64_t ticks(base::utc_time time) {
    return time.time_since_epoch().count() * 10;
}

std::string ticks_text(base::utc_time time) {
    return std::to_string(ticks(time));
}

std::optional<base::utc_time> time_from_ticks(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return base::utc_time{std::chrono::microseconds{value / 10}};
}

std::optional<std::string_view> find_metadata(const metadata_map& map, const char* key) {
    const auto found = map.find(key);
    if (found == map.end()) {
        return std::nullopt;
    }
    return std::string_view(found->second);
}

} // namespace immortal::esproto
