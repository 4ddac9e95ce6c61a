#include "eventlog/correlation.hpp"

#include <charconv>
#include <cstdint>
#include <optional>

namespace immortal::eventlog {
namespace {

constexpr std::string_view wanted = "$correlationId";

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct json_string {
    std::string_view raw; // between the quotes
    bool escaped = false;
};

// Walks over JSON text without checking more of it than is needed to find the way.
class walker {
public:
    explicit walker(std::string_view text) : text_(text) {}

    bool take(char c) {
        skip_space();
        if (at_ < text_.size() && text_[at_] == c) {
            ++at_;
            return true;
        }
        return false;
    }

    std::optional<json_string> string() {
        if (!take('"')) {
            return std::nullopt;
        }
        const std::size_t begin = at_;
        bool escaped = false;
        for (; at_ < text_.size(); ++at_) {
            if (text_[at_] == '"') {
                return json_string{text_.substr(begin, at_++ - begin), escaped};
            }
            if (text_[at_] == '\\') {
                escaped = true;
                ++at_;
            }
        }
        return std::nullopt;
    }

    bool at_string() {
        skip_space();
        return at_ < text_.size() && text_[at_] == '"';
    }

    // Skips a value that is no string.
    bool skip_value() {
        std::size_t depth = 0;
        skip_space();
        const std::size_t begin = at_;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"') {
                if (!string()) {
                    return false;
                }
                continue;
            }
            if (c == '{' || c == '[') {
                ++depth;
            } else if (depth > 0 && (c == '}' || c == ']')) {
                --depth;
            } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
                return at_ > begin;
            }
            ++at_;
        }
        return false;
    }

    bool at_end() {
        skip_space();
        return at_ == text_.size();
    }

private:
    void skip_space() {
        while (at_ < text_.size() && is_space(text_[at_])) {
            ++at_;
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

void put_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0 | (point >> 6u));
        put(0x80 | (point & 0x3Fu));
    } else if (point < 0x10000) {
        put(0xE0 | (point >> 12u));
        put(0x80 | ((point >> 6u) & 0x3Fu));
        put(0x80 | (point & 0x3Fu));
    } else {
        put(0xF0 | (point >> 18u));
        put(0x80 | ((point >> 12u) & 0x3Fu));
        put(0x80 | ((point >> 6u) & 0x3Fu));
        put(0x80 | (point & 0x3Fu));
    }
}

// The four hexadecimal digits after "\u" at `at`.
std::optional<std::uint32_t> unit_at(std::string_view raw, std::size_t at) {
    if (at + 6 > raw.size() || raw[at] != '\\' || raw[at + 1] != 'u') {
        return std::nullopt;
    }
    std::uint32_t unit = 0;
    const char* digits = raw.data() + at + 2;
    const auto parsed = std::from_chars(digits, digits + 4, unit, 16);
    return parsed.ec == std::errc{} && parsed.ptr == digits + 4 ? std::optional(unit)
                                                                : std::nullopt;
}

// False: the text holds what is no escape.
bool decode(std::string_view raw, std::string& out) {
    static constexpr std::string_view names = "\"\\/bfnrt";
    static constexpr std::string_view values = "\"\\/\b\f\n\r\t";
    out.clear();
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] != '\\') {
            out.push_back(raw[i]);
            continue;
        }
        if (const auto unit = unit_at(raw, i)) {
            std::uint32_t point = *unit;
            i += 5;
            if (point >= 0xD800 && point < 0xDC00) {
                const auto low = unit_at(raw, i + 1);
                if (!low || *low < 0xDC00 || *low > 0xDFFF) {
                    return false;
                }
                point = 0x10000 + ((point - 0xD800) << 10u) + (*low - 0xDC00);
                i += 6;
            }
            put_utf8(out, point);
            continue;
        }
        const std::size_t name = i + 1 < raw.size() ? names.find(raw[i + 1]) : names.npos;
        if (name == names.npos) {
            return false;
        }
        out.push_back(values[name]);
        ++i;
    }
    return true;
}

} // namespace

std::string_view correlation_of(std::string_view metadata, std::string& buffer) {
    if (metadata.find(wanted) == metadata.npos && metadata.find('\\') == metadata.npos) {
        return {};
    }
    walker at(metadata);
    if (!at.take('{') || at.take('}')) {
        return {};
    }
    std::optional<json_string> found;
    do {
        const auto key = at.string();
        if (!key || !at.take(':')) {
            return {};
        }
        const bool match =
            key->escaped ? decode(key->raw, buffer) && buffer == wanted : key->raw == wanted;
        if (!at.at_string()) {
            if (!at.skip_value()) {
                return {};
            }
            found = match ? std::nullopt : found;
            continue;
        }
        const auto value = at.string();
        if (!value) {
            return {};
        }
        found = match ? value : found;
    } while (at.take(','));
    if (!at.take('}') || !at.at_end() || !found) {
        return {};
    }
    if (!found->escaped) {
        return found->raw;
    }
    return decode(found->raw, buffer) ? std::string_view(buffer) : std::string_view{};
}

} // namespace immortal::eventlog
