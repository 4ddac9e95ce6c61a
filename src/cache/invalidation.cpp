#include "cache/invalidation.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace immortal::cache {

namespace {

constexpr std::array<std::string_view, 5> kind_names{"changed", "forget", "clear", "alive",
                                                     "renewed"};

std::string head(const std::string& sender, invalidation::kind what) {
    return std::string(sender).append(" ").append(kind_names[static_cast<std::size_t>(what)]);
}

// The text up to `separator`, which is removed together with it.
std::string_view cut(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || problem != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

} // namespace

std::string encode(const invalidation& in) {
    std::string out = head(in.sender, in.what);
    for (const invalidation::item& item : in.items) {
        if (item.key_text.find('\n') != std::string::npos) {
            return head(in.sender, invalidation::kind::clear);
        }
        out.append("\n").append(std::to_string(item.class_index)).append(" ");
        out.append(std::to_string(item.position.value)).append(" ").append(item.key_text);
    }
    return out;
}

std::optional<invalidation> decode_invalidation(std::string_view text) {
    invalidation out;
    std::string_view first = cut(text, '\n');
    out.sender = cut(first, ' ');
    const auto name = std::ranges::find(kind_names, first);
    if (out.sender.empty() || name == kind_names.end()) {
        return std::nullopt;
    }
    out.what = static_cast<invalidation::kind>(name - kind_names.begin());
    while (!text.empty()) {
        std::string_view line = cut(text, '\n');
        const auto class_index = number(cut(line, ' '));
        const auto position = number(cut(line, ' '));
        if (!class_index || *class_index >= classes::count || !position || line.empty()) {
            return std::nullopt;
        }
        out.items.push_back({*class_index, base::position{*position}, std::string(line)});
    }
    return out;
}

} // namespace immortal::cache
