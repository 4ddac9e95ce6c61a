// Events between structures and (type, JSON data).
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

#include <boost/mp11.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace immortal::game {

// What the store keeps of an event.
struct encoded_event {
    std::string type;
    std::string data; // JSON object
};

template <typename... Events>
[[nodiscard]] std::string_view type_of(const std::variant<Events...>& event) {
    return std::visit([](const auto& e) { return std::string_view(e.type_name); }, event);
}

template <typename... Events>
[[nodiscard]] encoded_event encode_event(const std::variant<Events...>& event) {
    return std::visit(
        [](const auto& e) { return encoded_event{e.type_name, base::encode_text(e)}; }, event);
}

// Empty: a type this version does not know; the fold passes over it. Errors: corrupt (known type,
// data that does not fit).
template <typename Variant>
[[nodiscard]] base::result<std::optional<Variant>> decode_event(std::string_view type,
                                                                std::string_view data) {
    base::result<std::optional<Variant>> out{std::nullopt};
    bool found = false;
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, Variant>>(
        [&](auto which) {
            using event_type = typename decltype(which)::type;
            if (found || type != event_type::type_name) {
                return;
            }
            found = true;
            auto parsed = base::parse_json(data);
            auto event =
                parsed ? base::decode<event_type>(*parsed) : base::fail(std::move(parsed.error()));
            if (event) {
                out = std::optional<Variant>(std::move(*event));
            } else {
                out = base::fail(base::errc::corrupt,
                                 "event " + std::string(type) + ": " + event.error().message, {},
                                 event.error().field);
            }
        });
    return out;
}

} // namespace immortal::game
