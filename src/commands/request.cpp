#include "commands/request.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace immortal::commands {

namespace {

constexpr std::array<std::string_view, std::variant_size_v<game_command>> names{
    "create_player",         "learn_technique",      "rest",
    "start_cultivation",     "progress_cultivation", "complete_cultivation",
    "interrupt_cultivation", "move_player",          "complete_unattended",
    "erase_player"};

} // namespace

std::string text_of(const actor& who) {
    return who.role == role::system ? "system" : who.account.text();
}

request make_request(actor who, std::string_view key, game_command command) {
    request out{who, std::move(command), {}, {}};
    out.command_id = base::uuid::make_derived("command:" + text_of(who), key);
    std::string text(names[out.command.index()]);
    text += std::visit([](const auto& c) { return base::encode_text(c); }, out.command);
    const base::digest256 digest = base::blake2b(text);
    std::copy_n(digest.begin(), out.hash.size(), out.hash.begin());
    return out;
}

base::uuid created_id(const request& of) {
    const std::string_view raw(reinterpret_cast<const char*>(of.command_id.bytes.data()),
                               of.command_id.bytes.size());
    return base::uuid::make_derived("created", raw);
}

base::uuid event_id(const base::uuid& command_id, std::size_t ordinal) {
    std::array<char, 24> raw{};
    std::memcpy(raw.data(), command_id.bytes.data(), 16);
    for (std::size_t i = 0; i < 8; ++i) {
        raw[16 + i] = static_cast<char>(ordinal >> (8 * i) & 0xff);
    }
    return base::uuid::make_derived("event", {raw.data(), raw.size()});
}

std::span<const std::string_view> command_names() {
    return names;
}

} // namespace immortal::commands
