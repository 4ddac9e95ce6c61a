#include "accounts/input_rules.hpp"

#include "accounts/common_passwords.hpp"
#include "accounts/utf8.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace immortal::accounts {

using base::errc;
using base::fail;

namespace {

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_cjk(char32_t c) noexcept {
    struct range {
        char32_t first, last;
    };
    constexpr std::array ranges{
        range{0x3041, 0x3096},   // hiragana
        range{0x30a1, 0x30fa},   // katakana
        range{0x3400, 0x4dbf},   // ideographs, extension A
        range{0x4e00, 0x9fff},   // ideographs
        range{0xac00, 0xd7a3},   // hangul
        range{0x20000, 0x323af}, // ideographs, further extensions
    };
    return std::ranges::any_of(ranges, [c](range r) { return c >= r.first && c <= r.last; });
}

std::optional<std::size_t> count_characters(std::string_view text) noexcept {
    std::size_t count = 0;
    while (!text.empty()) {
        if (!take_code_point(text)) {
            return std::nullopt;
        }
        ++count;
    }
    return count;
}

// "abab", "aaaa": a block of at most 4 bytes again and again.
bool is_repetition(std::string_view text) noexcept {
    for (std::size_t block = 1; block <= 4 && block * 2 <= text.size(); ++block) {
        const auto shifted = text.substr(block);
        if (text.starts_with(shifted)) {
            return true;
        }
    }
    return false;
}

// "12345678", "qwertyui", "hgfedcba": pieces of well-trodden ways, at least half of the text each.
bool is_run(std::string_view text) {
    constexpr std::array<std::string_view, 6> ways{
        "01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm",
        "1qaz2wsx3edc4rfv5tgb"};
    const auto on_a_way = [&](std::string_view piece) {
        const std::string back(piece.rbegin(), piece.rend());
        return std::ranges::any_of(ways, [&](std::string_view way) {
            return way.find(piece) != std::string_view::npos ||
                   way.find(back) != std::string_view::npos;
        });
    };
    if (on_a_way(text)) {
        return true;
    }
    for (std::size_t cut = 3; cut + 3 <= text.size(); ++cut) { // "qwer1234", "abcd5678"
        if (on_a_way(text.substr(0, cut)) && on_a_way(text.substr(cut))) {
            return true;
        }
    }
    return false;
}

// The word in "!!Dragon2024": what is left without up to 6 digits or signs around it.
std::string_view core_of(std::string_view text) noexcept {
    const auto is_trimming = [](char c) {
        return !is_letter(c) && static_cast<signed char>(c) >= 0;
    };
    std::string_view core = text;
    while (!core.empty() && is_trimming(core.front())) {
        core.remove_prefix(1);
    }
    while (!core.empty() && is_trimming(core.back())) {
        core.remove_suffix(1);
    }
    return text.size() - core.size() <= 6 ? core : text;
}

bool is_guessed_first(std::string_view lowered) {
    return is_common_password(lowered) || is_common_password(core_of(lowered)) ||
           is_repetition(lowered) || is_run(lowered);
}

} // namespace

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

bool is_storable(std::string_view text) noexcept {
    return text.find('\0') == std::string_view::npos && count_characters(text).has_value();
}

base::status check_username(std::string_view name) {
    const auto refuse = [](const char* why) {
        return fail(errc::invalid_argument, why, "bad_username", "username");
    };
    const auto count = count_characters(name);
    if (!count || *count < 3 || *count > 50) {
        return refuse("the user name must have 3 to 50 characters");
    }
    for (std::string_view rest = name; !rest.empty();) {
        const char32_t c = *take_code_point(rest);
        const bool plain =
            c < 0x80 && (is_letter(static_cast<char>(c)) || is_digit(static_cast<char>(c)) ||
                         c == '_' || c == '-' || c == '.');
        if (!plain && !is_cjk(c)) {
            return refuse("the user name may have letters, digits, '_', '-', '.' and Chinese, "
                          "Japanese or Korean characters");
        }
    }
    if (lower(name).starts_with("erased-")) {
        return refuse("this user name cannot be chosen");
    }
    return {};
}

base::status check_email(std::string_view email) {
    const auto refuse = [] {
        return fail(errc::invalid_argument,
                    "this is not an e-mail address; it looks like name@example.org", "bad_email",
                    "email");
    };
    const auto at = email.find('@');
    if (email.size() > 255 || at == std::string_view::npos || at == 0) {
        return refuse();
    }
    const std::string_view name = email.substr(0, at);
    const std::string_view domain = email.substr(at + 1);
    const auto dot = domain.rfind('.');
    const auto in = [](std::string_view signs) {
        return [signs](char c) {
            return is_letter(c) || is_digit(c) || signs.find(c) != std::string_view::npos;
        };
    };
    if (dot == std::string_view::npos || dot == 0 || domain.size() - dot < 3 ||
        !std::ranges::all_of(name, in("._%+-")) || !std::ranges::all_of(domain, in(".-")) ||
        !std::ranges::all_of(domain.substr(dot + 1), is_letter)) {
        return refuse();
    }
    return {};
}

base::status check_password(std::string_view password, std::string_view username,
                            std::string_view email, std::string_view field) {
    const auto refuse = [&](const char* why, const char* reason) {
        return fail(errc::invalid_argument, why, reason, std::string(field));
    };
    const auto count = count_characters(password);
    if (!count || *count < 8 || *count > 128) {
        return refuse("the password must have 8 to 128 characters", "bad_password_length");
    }
    const std::string lowered = lower(password);
    const std::string name = lower(username);
    const std::string address = lower(email);
    const std::string local = address.substr(0, address.find('@'));
    const std::string core(core_of(lowered));
    const bool own =
        lowered == name || core == name || lowered == address || lowered == local || core == local;
    if (own || is_guessed_first(lowered)) {
        return refuse("this password is among the first that are guessed; choose another",
                      "common_password");
    }
    return {};
}

} // namespace immortal::accounts
