#include "base/json_text.hpp"

#include <array>
#include <charconv>

namespace immortal::base {

namespace detail {

namespace {

// What follows the backslash; 0: the character stands for itself; 'u': by its number.
constexpr std::array<char, 256> make_escapes() {
    std::array<char, 256> out{};
    for (std::size_t c = 0; c < 0x20; ++c) {
        out[c] = 'u';
    }
    out['\b'] = 'b';
    out['\f'] = 'f';
    out['\n'] = 'n';
    out['\r'] = 'r';
    out['\t'] = 't';
    out['"'] = '"';
    out['\\'] = '\\';
    return out;
}
constexpr std::array<char, 256> escapes = make_escapes();

void append_escape(std::string& out, unsigned char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '\\';
    out += escapes[c];
    if (escapes[c] == 'u') {
        out += "00";
        out += digits[c >> 4U];
        out += digits[c & 0xfU];
    }
}

} // namespace

void append_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t from = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (escapes[c] != 0) {
            out.append(text, from, i - from);
            append_escape(out, c);
            from = i + 1;
        }
    }
    out.append(text, from);
    out += '"';
}

void append_number(std::string& out, std::int64_t number) {
    std::array<char, 24> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    out.append(text.data(), end);
}

void append_number(std::string& out, double number) {
    constexpr double plain_min = 1e-9;
    constexpr double plain_max = 1e15;
    if (!std::isfinite(number)) {
        out += "null";
        return;
    }
    const double size = std::abs(number);
    const bool plain = number == 0 || (size >= plain_min && size < plain_max);
    std::array<char, 64> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), number,
                      plain ? std::chars_format::fixed : std::chars_format::scientific);
    out.append(text.data(), end.ptr);
}

void append_value(std::string& out, const json::value& in) {
    switch (in.kind()) {
    case json::kind::null:
        out += "null";
        return;
    case json::kind::bool_:
        out += in.get_bool() ? "true" : "false";
        return;
    case json::kind::int64:
        append_number(out, in.get_int64());
        return;
    case json::kind::uint64:
        out += std::to_string(in.get_uint64());
        return;
    case json::kind::double_:
        append_number(out, in.get_double());
        return;
    case json::kind::string:
        append_string(out, {in.get_string().data(), in.get_string().size()});
        return;
    case json::kind::array:
        append_value(out, in.get_array());
        return;
    case json::kind::object:
        append_value(out, in.get_object());
        return;
    }
}

void append_value(std::string& out, const json::array& in) {
    char before = '[';
    for (const json::value& item : in) {
        out += before;
        append_value(out, item);
        before = ',';
    }
    out += in.empty() ? "[]" : "]";
}

void append_value(std::string& out, const json::object& in) {
    char before = '{';
    for (const auto& entry : in) {
        out += before;
        append_string(out, {entry.key().data(), entry.key().size()});
        out += ':';
        append_value(out, entry.value());
        before = ',';
    }
    out += in.empty() ? "{}" : "}";
}

} // namespace detail

std::string json_text(const json::value& in) {
    std::string out;
    detail::append_value(out, in);
    return out;
}

std::string json_text(const json::object& in) {
    std::string out;
    detail::append_value(out, in);
    return out;
}

} // namespace immortal::base
