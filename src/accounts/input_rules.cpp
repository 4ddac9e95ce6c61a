#include "accounts/input_rules.hpp"

#include "accounts/common_passwords.hpp"
#include "base/unicode.hpp"

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
    return text.find('\0') == std::string_view::npos && base::count_code_points(text).has_value();
}

base::status check_username(std::string_view name) {
    const auto refuse = [](const char* why) {
        return fail(errc::invalid_argument, why, "bad_username", "username");
    };
    const auto count = base::count_code_points(name);
    if (!count || *count < 3 || *count > 50) {
        return refuse("the user name must have 3 to 50 characters");
    }
    std::size_t visible = 0;
    std::size_t marks = 0;
    for (std::string_view rest = name; !rest.empty();) {
        const char32_t c = *base::take_code_point(rest);
        const auto kind = base::kind_of(c);
        const bool sign = c == '_' || c == '-' || c == '.';
        if (kind == base::character_kind::mark) {
            if (++marks > visible) {
                return refuse("the user name may have marks on its letters only");
            }
        } else if (sign || kind == base::character_kind::letter ||
                   kind == base::character_kind::number) {
            ++visible;
        } else {
            return refuse("the user name may have letters and digits of any script, '_', '-' and "
                          "'.'");
        }
    }
    if (!base::is_folded_but_ascii(name)) {
        return refuse("the user name must have its letters outside ASCII written small and in "
                      "their usual form, so that nobody else's name looks the same");
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
    const auto count = base::count_code_points(password);
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
