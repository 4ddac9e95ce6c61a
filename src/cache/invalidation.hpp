// What processes tell each other on the invalidation channel.
//
//   message = sender " " kind *( "\n" class " " position " " key )
//   kind    = "changed" | "forget" | "clear" | "alive" | "renewed"
//
// class and position are decimal; a key stands to the end of its line.
#pragma once

#include "base/ids.hpp"
#include "cache/cache_class.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::cache {

struct invalidation {
    enum class kind : std::uint8_t {
        changed, // the keys, at these positions
        forget,  // the keys, whatever their position
        clear,   // everything
        alive,   // all fresheners hold their leases
        renewed, // the generation was changed
    };
    struct item {
        std::size_t class_index = 0;
        base::position position;
        std::string key_text;
    };
    std::string sender;
    kind what = kind::clear;
    std::vector<item> items;

    void add(const key& where, base::position position) {
        items.push_back({where.what().index, position, where.text()});
    }
};

// A key with a line break turns the message into `clear`.
[[nodiscard]] std::string encode(const invalidation& in);
// Empty for anything else: the reader then clears everything.
[[nodiscard]] std::optional<invalidation> decode_invalidation(std::string_view text);

} // namespace immortal::cache
